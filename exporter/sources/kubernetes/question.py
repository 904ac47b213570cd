"""What is asked of an API server, and what the answer may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one answer may cost in bytes, Secrets and seconds; `grace` is what a server has to end a watch itself."""

    page: int = 500
    body: int = 8 << 20
    total: int = 512 << 20
    timeout: float = 30.0
    silence: float = 20.0
    watch: float = 240.0
    grace: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for Secrets: what the operator would have to allow, how long it may take and may be silent."""

    verb: str
    namespace: str
    name: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    total: float
    silence: float

    def __str__(self) -> str:
        what = f"the Secret {self.name}" if self.name else "secrets"
        return f"{self.verb} {what} in the namespace {self.namespace}"

    @property
    def path(self) -> str:
        return "/api/v1/namespaces/{namespace}/secrets" + ("/{name}" if self.name else "")
