"""One configured collector and everything known of it: what is running, and how the last run ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from exporter.engine.blocking import Blocking
from exporter.engine.limits import NOTHING, Accepted, Intake, Limits
from exporter.engine.metrics import CollectorCells
from exporter.model.collector import Collector, Derived, Offload, Run
from exporter.model.metric import Result
from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record


@dataclass(frozen=True, slots=True)
class Entry:
    """A collector as configured: when it runs, how long it may take, which of its families are wanted."""

    collector: Collector | Derived
    interval: float
    timeout: float
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def wants(self, family: str) -> bool:
        """Whether the family passes the globs: among the included if any are given, and not excluded."""
        included = not self.include or any(fnmatchcase(family, glob) for glob in self.include)
        return included and not any(fnmatchcase(family, glob) for glob in self.exclude)


@dataclass(frozen=True, slots=True)
class Off:
    """A collector that does not run: switched off, or a plugin that could not be loaded."""

    name: str
    reason: Reason | None = None
    detail: str = ""

    def record(self) -> Record:
        outcome = Outcome.DISABLED if self.reason is None else Outcome.ERROR
        return Record(self.name, outcome, self.reason, self.detail)


class Attempt:
    """One run that waits for something. Once `given_up`, whatever it still brings is discarded."""

    __slots__ = ("awaitable", "deadline", "given_up", "started", "task", "wall")

    task: asyncio.Task[None]

    def __init__(self, started: float, wall: float, deadline: float, awaitable: Awaitable[object]) -> None:
        self.started = started
        self.wall = wall
        self.deadline = deadline
        self.awaitable = awaitable
        self.given_up = False


class Slot:
    """The state of one collector between cycles."""

    __slots__ = (
        "accepted",
        "attempt",
        "cells",
        "derived",
        "detail",
        "entry",
        "every_tick",
        "intake",
        "last_success",
        "limits",
        "name",
        "record",
        "result",
        "start",
        "timeout",
        "up",
    )

    def __init__(self, entry: Entry, limits: Limits, offload: Offload) -> None:
        collector = entry.collector
        self.name = collector.name
        self.attempt: Attempt | None = None
        self.result: Result | None = None
        self.detail: object = None  # of the result; looked at in every cycle
        self.accepted: Accepted = NOTHING
        self.record: Record | None = None
        self.last_success: float | None = None
        self.up = True  # so that the first failure is told, and the first success is not
        self.cells: CollectorCells
        self.every_tick: bool = getattr(collector, "every_tick", False)
        # What begins a run: the collector's own method, so that a plain one costs no more than the call.
        self.start: Callable[[Run], object] = getattr(collector, "collect", None)  # type: ignore[assignment]
        self.derived = self.start is None  # a derived one is never started
        if getattr(collector, "blocking", False):
            self.start = Blocking(cast("Collector", collector), offload)
        self._take(entry, limits)

    def configure(self, entry: Entry, limits: Limits) -> None:
        """Takes new settings for the same collector; what it found so far stays, as far as they allow it."""
        if entry == self.entry and limits == self.limits:
            return
        self._take(entry, limits)
        if self.result is not None:
            self.take(self.intake.accept(self.result))

    def take(self, accepted: Accepted) -> None:
        """What the collector has on the page from now on."""
        self.accepted = accepted
        self.cells.counted(accepted.series)
        if accepted.drops:
            self.cells.dropped(accepted.drops)

    def _take(self, entry: Entry, limits: Limits) -> None:
        self.entry = entry
        self.limits = limits
        self.timeout = entry.timeout
        self.intake = Intake(entry.collector.families, entry.wants, limits)
