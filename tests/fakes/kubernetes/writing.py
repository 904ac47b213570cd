"""Create, update, patch and delete."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from tests.fakes.kubernetes.objects import NAMESPACE, SECRET, Key, Manifest, Stored
from tests.fakes.kubernetes.store import Store

_MERGES = ("application/merge-patch+json", "application/strategic-merge-patch+json")


class Refused(Exception):
    """The answer is this error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def create(store: Store, key: Key, body: bytes) -> Stored:
    manifest = _manifest(body)
    key = Key(key.resource, key.namespace, manifest["metadata"]["name"])
    if store.get(key) is not None:
        raise Refused(409, f'{key.resource} "{key.name}" already exists')
    if key.namespace and store.get(Key(NAMESPACE.resource, "", key.namespace)) is None:
        raise Refused(404, f'namespaces "{key.namespace}" not found')
    return store.put(key, _completed(key, manifest))


def update(store: Store, key: Key, body: bytes) -> Stored:
    stored, manifest = existing(store, key), _manifest(body)
    if manifest["metadata"].get("resourceVersion") not in (None, "", str(stored.version)):
        raise Refused(409, "the object has been modified; apply your changes to the latest version and try again")
    return store.put(key, _completed(key, manifest))


def patch(store: Store, key: Key, body: bytes, content_type: str) -> Stored:
    if content_type not in _MERGES:
        raise Refused(415, f"of patches only {' and '.join(_MERGES)} are known here")
    merged = merge(existing(store, key).manifest, msgspec.json.decode(body))
    return store.put(key, _completed(key, merged))


def existing(store: Store, key: Key) -> Stored:
    """The object, or the error that there is none."""
    stored = store.get(key)
    if stored is None:
        raise Refused(404, f'{key.resource} "{key.name}" not found')
    return stored


def merge(old: Any, change: Any) -> Any:
    """A merge patch: null removes, objects merge, all else replaces."""
    if not isinstance(change, dict):
        return change
    kept = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merge(kept.get(name), value)
    return kept


def _manifest(body: bytes) -> Manifest:
    try:
        manifest: Manifest = msgspec.json.decode(body, type=dict[str, Any])
        manifest["metadata"]["name"]
    except (msgspec.DecodeError, LookupError, TypeError) as error:
        raise Refused(400, "the body is not an object with a name") from error
    return manifest


def _completed(key: Key, manifest: Manifest) -> Manifest:
    manifest = {name: value for name, value in manifest.items() if name not in ("kind", "apiVersion")}
    if key.kind is not SECRET:
        return manifest | {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    plain = manifest.pop("stringData", None) or {}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
    return manifest | {"type": manifest.get("type") or "Opaque", "data": (manifest.get("data") or {}) | encoded}
