"""Tells in the log when a collector stops working and when it works again, and does not repeat itself."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from exporter.instruments.log import say
from exporter.model.collector import Clock
from exporter.model.reason import Reason
from exporter.model.snapshot import Record

_log = logging.getLogger("exporter.engine")

REPEAT_AFTER = 60.0


class Journal:
    """One line when a collector goes from fine to failing and one back; a lasting failure at most once a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: set[str] = set()
        self._said: dict[tuple[str, Reason | None], float] = {}

    def note(self, record: Record) -> None:
        name = record.collector
        if record.outcome.up:
            if name in self._failing:
                self._failing.discard(name)
                say(_log, logging.INFO, "collector recovered", **self._fields(record))
            return
        if name not in self._failing:
            self._failing.add(name)
            self._say_failing(record)
        elif self._clock.monotonic() - self._said.get((name, record.reason), -REPEAT_AFTER) >= REPEAT_AFTER:
            self._say_failing(record)

    def forget(self, names: Collection[str]) -> None:
        """Collectors that are gone neither fail nor recover."""
        self._failing.difference_update(names)
        self._said = {key: when for key, when in self._said.items() if key[0] not in names}

    def _say_failing(self, record: Record) -> None:
        self._said[record.collector, record.reason] = self._clock.monotonic()
        say(_log, logging.WARNING, "collector failed", **self._fields(record))

    @staticmethod
    def _fields(record: Record) -> Mapping[str, object]:
        fields: dict[str, object] = {"collector": record.collector}
        if record.reason is not None:
            fields["reason"] = record.reason.value
        if record.duration is not None:
            fields["duration"] = f"{record.duration:.3f}s"
        if record.detail:
            fields["detail"] = record.detail
        return fields
