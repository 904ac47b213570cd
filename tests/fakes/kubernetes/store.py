"""What the server holds, and how it came to be: each change has a version, and the latest changes can be undone."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.kubernetes.objects import NAMESPACE, Key, Manifest, Stored

FIRST_VERSION = 1000


class Expired(Exception):
    """A version was asked for whose history is gone."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {version} ({oldest})")


@dataclass(frozen=True)
class Change:
    version: int
    key: Key
    before: Stored | None
    after: Stored | None


class Store:
    """Objects of all kinds under one sequence of versions."""

    def __init__(self, history: int = 1000) -> None:
        self.version = FIRST_VERSION
        self.oldest = FIRST_VERSION
        self.listeners: set[Callable[[Change], None]] = set()
        self._history = history
        self._objects: dict[Key, Stored] = {}
        self._changes: deque[Change] = deque()
        self._sorted: tuple[int, list[Stored]] = (FIRST_VERSION, [])

    def get(self, key: Key) -> Stored | None:
        return self._objects.get(key)

    def put(self, key: Key, manifest: Manifest) -> Stored:
        """Creates or replaces; what changes nothing makes no new version."""
        before = self._objects.get(key)
        manifest = manifest | {"metadata": self._metadata(key, manifest.get("metadata") or {}, before)}
        if before is not None and Stored.of(key, before.version, manifest) == before:
            return before
        after = Stored.of(key, self.version + 1, manifest)
        self._objects[key] = after
        self._changed(key, before, after)
        return after

    def delete(self, key: Key) -> Stored | None:
        """Removes an object; a namespace takes all that is in it along."""
        if key.resource == NAMESPACE.resource:
            for inner in [each for each in self._objects if each.namespace == key.name]:
                self.delete(inner)
        before = self._objects.pop(key, None)
        if before is not None:
            self._changed(key, before, None)
        return before

    def forget(self) -> None:
        """Makes every version that was given out so far too old to go on from."""
        self.version += 1
        self._changes.clear()
        self.oldest = self.version

    def at(self, version: int) -> list[Stored]:
        """All objects, in order, as they were at a version."""
        if version < self.oldest:
            raise Expired(version, self.oldest)
        if self._sorted[0] != version:
            objects = dict(self._objects)
            for change in reversed(self._changes):
                if change.version <= version:
                    break
                objects.pop(change.key, None)
                if change.before is not None:
                    objects[change.key] = change.before
            self._sorted = (version, [objects[key] for key in sorted(objects)])
        return self._sorted[1]

    def since(self, version: int) -> list[Change]:
        """What changed after a version."""
        if version < self.oldest:
            raise Expired(version, self.oldest)
        newer = itertools.takewhile(lambda change: change.version > version, reversed(self._changes))
        return list(newer)[::-1]

    def _metadata(self, key: Key, given: dict[str, Any], before: Stored | None) -> dict[str, Any]:
        old = before.manifest["metadata"] if before else {}
        fixed = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
        created = old.get("creationTimestamp") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        fixed |= {"uid": old.get("uid") or str(uuid.uuid4()), "creationTimestamp": created}
        return {name: value for name, value in given.items() if value} | fixed

    def _changed(self, key: Key, before: Stored | None, after: Stored | None) -> None:
        self.version += 1
        change = Change(self.version, key, before, after)
        self._changes.append(change)
        if len(self._changes) > self._history:
            self.oldest = self._changes.popleft().version
        for listener in list(self.listeners):
            listener(change)
