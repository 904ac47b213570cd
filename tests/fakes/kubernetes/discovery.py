"""What a client may ask before anything else: which versions, groups and resources there are."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.fakes.kubernetes.objects import KINDS, Kind

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def _resource(kind: Kind) -> dict[str, Any]:
    names = {"name": kind.resource, "singularName": kind.name.lower(), "kind": kind.name, "verbs": _VERBS}
    return names | {"namespaced": kind.namespaced, "shortNames": [kind.short] if kind.short else []}


_DOCUMENTS: dict[str, dict[str, Any]] = {
    "/version": {
        "major": "1",
        "minor": "32",
        "gitVersion": "v1.32.0",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-01-01T00:00:00Z",
        "goVersion": "go1.23",
        "compiler": "gc",
        "platform": "linux/amd64",
    },
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [_resource(kind) for kind in KINDS.values()],
    },
}

DISCOVERY = {path: msgspec.json.encode(document) for path, document in _DOCUMENTS.items()}
