"""Where alerts are published to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from exporter.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Target:
    """One publishing target. Its URL and headers are secret as a whole: people are shown `shown`.

    `origin` says where it was defined (`static`, `file`, `alertmanager`, `kubernetes`), `source` in which one.
    """

    name: str
    type: str
    format: str
    url: Secret
    enabled: bool = True
    headers: Mapping[str, Secret] = field(default_factory=dict)
    filter_config: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "static"
    source: str = ""

    @property
    def shown(self) -> str:
        """Scheme, host and port: all of the URL that may be seen."""
        parts = urlsplit(self.url.reveal())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
