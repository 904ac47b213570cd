"""In which namespace the daemon is at home: that of its pod, or that of the kubeconfig's current context."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.foreign import foreign_values
from exporter.config.problems import ConfigError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_FALLBACK = "default"
_LARGEST = 1 << 20


def own_namespace(kubeconfig: Path | None, account: Path = _ACCOUNT) -> str:
    """The namespace to look into when none is named; what cannot be read is told by whoever connects."""
    text = _text(account) if kubeconfig is None else ""
    if text.strip():
        return text.strip()
    named = kubeconfig or Path(os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0] or "~/.kube/config")
    try:
        values = foreign_values(_text(named.expanduser()), str(named))
    except (ConfigError, RuntimeError):  # the latter: no home
        values = None
    return _of_context(values) or _FALLBACK


def _text(path: Path) -> str:
    try:
        return decode(read_bytes(path, _LARGEST))
    except Unreadable:
        return ""


def _of_context(values: Any) -> str:
    if not isinstance(values, dict) or not isinstance(values.get("contexts"), list):
        return ""
    for entry in values["contexts"]:
        if isinstance(entry, dict) and entry.get("name") == values.get("current-context"):
            context = entry.get("context")
            found = context.get("namespace") if isinstance(context, dict) else None
            return found if isinstance(found, str) else ""
    return ""
