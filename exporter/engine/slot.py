"""One configured collector and everything known of it: what is running, and how the last run ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from exporter.engine.limits import NOTHING, Accepted, Intake, Limits
from exporter.engine.metrics import CollectorCells
from exporter.model.collector import Collector, Derived
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
    """One run under way. Once `given_up`, whatever it still brings is discarded."""

    __slots__ = ("deadline", "given_up", "started", "task", "wall")

    def __init__(self, started: float, wall: float, deadline: float) -> None:
        self.started = started
        self.wall = wall
        self.deadline = deadline
        self.given_up = False
        self.task: asyncio.Task[None] | None = None


class Slot:
    """The state of one collector between cycles."""

    __slots__ = (
        "accepted",
        "attempt",
        "blocking",
        "cells",
        "derived",
        "entry",
        "every_tick",
        "intake",
        "name",
        "record",
        "result",
    )

    def __init__(self, entry: Entry, limits: Limits, cells: CollectorCells) -> None:
        self.name = entry.collector.name
        self.cells = cells
        self.attempt: Attempt | None = None
        self.result: Result | None = None
        self.accepted: Accepted = NOTHING
        self.record: Record | None = None
        self.configure(entry, limits)

    def configure(self, entry: Entry, limits: Limits) -> None:
        """Takes new settings for the same collector; what it found so far stays."""
        self.entry = entry
        self.intake = Intake(entry.collector.families, entry.wants, limits)
        self.every_tick: bool = getattr(entry.collector, "every_tick", False)
        self.blocking: bool = getattr(entry.collector, "blocking", False)
        self.derived = not hasattr(entry.collector, "collect")
