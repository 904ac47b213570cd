"""Which targets there are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from exporter.model.target import Target


class TargetDirectory:
    """The targets by name. A change swaps the whole map, so whoever holds one sees one state of the world."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._current: Mapping[str, Target] = MappingProxyType({})
        self.replace(targets)

    def current(self) -> Mapping[str, Target]:
        """The map as it stands; it never changes, a newer one takes its place."""
        return self._current

    def replace(self, targets: Iterable[Target]) -> bool:
        """Makes these the targets; tells whether anything changed. Of two with one name the first stays."""
        fresh: dict[str, Target] = {}
        for target in targets:
            fresh.setdefault(target.name, target)
        if fresh == self._current and list(fresh) == list(self._current):
            return False
        self._current = MappingProxyType(fresh)
        return True
