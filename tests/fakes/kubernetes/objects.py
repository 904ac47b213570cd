"""Objects as the server keeps them: encoded once when they change, however often they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    name: str
    resource: str
    namespaced: bool
    short: str

    @property
    def head(self) -> bytes:
        """How an object of this kind begins where it stands alone; in a list it goes without."""
        return b'{"kind":"%b","apiVersion":"v1",' % self.name.encode()


SECRET = Kind("Secret", "secrets", namespaced=True, short="")
NAMESPACE = Kind("Namespace", "namespaces", namespaced=False, short="ns")
KINDS = {kind.resource: kind for kind in (SECRET, NAMESPACE)}


@dataclass(frozen=True, order=True)
class Key:
    """Where an object is; the order is that of lists. The namespace of a namespace is empty."""

    resource: str
    namespace: str
    name: str

    @property
    def kind(self) -> Kind:
        return KINDS[self.resource]


@dataclass(frozen=True)
class Stored:
    """An object at one version; the manifest is not to be changed."""

    key: Key
    version: int
    manifest: Manifest
    body: bytes

    @classmethod
    def of(cls, key: Key, version: int, manifest: Manifest) -> Stored:
        """The object with this version written into it."""
        metadata = manifest["metadata"] | {"resourceVersion": str(version)}
        whole = manifest | {"metadata": metadata}
        return cls(key, version, whole, msgspec.json.encode(whole))

    @property
    def alone(self) -> bytes:
        """The object outside of a list."""
        return self.key.kind.head + self.body[1:]

    @property
    def labels(self) -> Mapping[str, str]:
        return self.manifest["metadata"].get("labels") or {}

    @property
    def fields(self) -> Mapping[str, str]:
        """By what a field selector can choose."""
        return {
            "metadata.name": self.key.name,
            "metadata.namespace": self.key.namespace,
            "type": self.manifest.get("type", ""),
        }

    def at(self, version: int) -> Stored:
        """The same object as seen at another version: what a watch says of one that is gone."""
        return Stored.of(self.key, version, self.manifest)
