"""Collectors that do as they are told, and a cycle to run them in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from exporter.engine.cycle import Cycle, Plan
from exporter.engine.engine import Engine
from exporter.engine.limits import Limits
from exporter.engine.slot import Entry, Off
from exporter.engine.threads import DaemonPool
from exporter.instruments.meter import Meter
from exporter.model.collector import Run
from exporter.model.metric import Family, Key, Kind, Result, Samples, Value
from exporter.model.snapshot import Snapshot

T = TypeVar("T")

EPOCH = 1_700_000_000.0
THING = Family("publishing_thing", "A thing.", Kind.GAUGE, ("name",))


class LoopClock:
    """The time of the event loop, which is virtual where a test says so; `held_up` is time that it stood still."""

    held_up = 0.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.held_up

    def wall(self) -> float:
        return EPOCH + self.monotonic()


def result(values: Mapping[Key, Value] | float, family: Family = THING, detail: object = None) -> Result:
    return Result((Samples.of(family, values),), detail)


def things(*names: str) -> Result:
    return result({(name,): 1.0 for name in names})


class Doing:
    """A collector whose run is a function; it counts how many runs there are at once."""

    def __init__(self, name: str, act: Callable[[Run], Any], families: Sequence[Family] | None = (THING,)) -> None:
        self.name = name
        self.families = families
        self.act = act
        self.runs: list[Run] = []

    def collect(self, run: Run) -> Any:
        self.runs.append(run)
        return self.act(run)


class Blocking(Doing):
    blocking = True


class Eager(Doing):
    every_tick = True


class Deriving:
    """A derived collector whose sum is a function."""

    def __init__(self, name: str, act: Callable[[Mapping[str, Result]], Any], *families: Family) -> None:
        self.name = name
        self.families: Sequence[Family] | None = families or (THING,)
        self.derive = act


def steady(name: str, *names: str) -> Doing:
    """Always finds the same."""
    found = things(*(names or (name,)))
    return Doing(name, lambda run: found)


def sleeping(name: str, seconds: float) -> Doing:
    """Finds itself after a while."""

    async def act(run: Run) -> Result:
        await asyncio.sleep(seconds)
        return things(name)

    return Doing(name, act)


def deaf(name: str, seconds: float) -> Doing:
    """Swallows every cancellation and goes on for as long as it likes."""

    async def act(run: Run) -> Result:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            try:
                await asyncio.sleep(end - loop.time())
            except asyncio.CancelledError:
                continue
        return things(name)

    return Doing(name, act)


def entry(collector: Any, timeout: float = 10.0, interval: float = 15.0, **more: Any) -> Entry:
    return Entry(collector, interval, timeout, **more)


def plan(*entries: Any, timeout: float = 10.0, off: Sequence[Off] = (), limits: Limits | None = None) -> Plan:
    """Collectors as they are get the usual settings."""
    found = [item if isinstance(item, Entry) else entry(item, timeout) for item in entries]
    return Plan(found, off, 15.0, timeout, limits or Limits())


class Rig:
    """A cycle with all it needs."""

    def __init__(self, *entries: Any, threads: int = 8, **more: Any) -> None:
        self.clock = LoopClock()
        self.meter = Meter("platform_exporter_")
        self.pool = DaemonPool("calls", threads)
        self.cycle = Cycle(self.clock, self.meter, self.pool, lambda: self.pool.abandoned)
        self.cycle.configure(plan(*entries, **more))

    async def run(self, *names: str) -> Snapshot:
        """One cycle, of everything if no names are given."""
        return await self.cycle.run(names or self.cycle.names())


def engine(*entries: Any, interval: float = 15.0, timeout: float = 10.0, clock: LoopClock | None = None) -> Engine:
    """An engine with its first plan."""
    pool = DaemonPool("calls", 2)
    made = Engine(clock or LoopClock(), Meter("platform_exporter_"), pool, lambda: pool.abandoned)
    found = [item if isinstance(item, Entry) else entry(item, timeout, interval) for item in entries]
    made.start(Plan(found, (), interval, timeout))
    return made


def own(snapshot: Snapshot, name: str, *labels: str) -> tuple[float, ...] | None:
    """The numbers of one series of what the daemon counts about itself; None if there is none."""
    for column in snapshot.own:
        if column.family.name == "platform_exporter_" + name:
            return dict(column.rows()).get(labels)
    return None


def names_of(snapshot: Snapshot, collector: str) -> list[str]:
    """The first label of every series a collector has."""
    return [key[0] for column in snapshot.samples.get(collector, ()) for key in column.keys]


def outcome(snapshot: Snapshot, collector: str) -> tuple[str, str | None]:
    """How the last run of a collector ended."""
    record = snapshot.records[collector]
    return record.outcome.value, record.reason.value if record.reason else None
