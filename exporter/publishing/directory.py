"""Which targets there are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from exporter.instruments.meter import Meter
from exporter.model.target import Target

# What a look-up can end with; each starts at 0.
_LOOKUPS = (("get", "hit"), ("get", "miss"), ("list", "hit"), ("get_by_type", "hit"), ("get_by_type", "miss"))


class TargetDirectory:
    """The targets by name. A change swaps the whole map, so whoever holds one sees one state of the world."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self.meter = Meter()
        self._lookups = self.meter.counter(
            "target_lookups_total", "Targets looked up in the directory.", ("operation", "status")
        )
        for labels in _LOOKUPS:
            self._lookups.labels(*labels)
        self._current: Mapping[str, Target] = MappingProxyType({})
        self.replace(targets)

    def current(self) -> Mapping[str, Target]:
        """The map as it stands; it never changes, a newer one takes its place. Not counted as a look-up."""
        return self._current

    def get(self, name: str) -> Target | None:
        """The target of this name."""
        found = self._current.get(name)
        self._count("get", found)
        return found

    def list(self) -> tuple[Target, ...]:
        """All targets."""
        self._count("list", self)
        return tuple(self._current.values())

    def get_by_type(self, kind: str) -> tuple[Target, ...]:
        """The targets of one type."""
        found = tuple(target for target in self._current.values() if target.type == kind)
        self._count("get_by_type", found or None)
        return found

    def _count(self, operation: str, found: object | None) -> None:
        self._lookups.labels(operation, "miss" if found is None else "hit").inc()

    def replace(self, targets: Iterable[Target]) -> bool:
        """Makes these the targets; tells whether anything changed. Of two with one name the first stays."""
        fresh: dict[str, Target] = {}
        for target in targets:
            fresh.setdefault(target.name, target)
        if fresh == self._current and list(fresh) == list(self._current):
            return False
        self._current = MappingProxyType(fresh)
        return True
