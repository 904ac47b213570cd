"""P3: what a cycle costs beside the work of its collectors, and what the usual ways of running them together cost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from exporter.engine.clock import SystemClock
from exporter.engine.cycle import Cycle, Plan
from exporter.engine.slot import Entry
from exporter.engine.threads import DaemonPool
from exporter.instruments.meter import Meter
from exporter.model.collector import Run
from exporter.model.metric import Family, Result, Samples
from tests.benchmarks.harness import REPEATS, Goal, Row, Table, in_turn

SIZES = (7, 70, 700)
PLAIN_SIZES = (*SIZES, 1000)
TIMEOUT = 10.0
PLAIN_GOALS = {7: Goal(10, "most", "us"), 1000: Goal(1000, "most", "us")}

Round = Callable[[], Awaitable[object]]


class Plain:
    """Reads memory: always the same."""

    def __init__(self, number: int) -> None:
        self.name = f"plain{number}"
        self.families = (Family(f"publishing_plain_{number}", "A number."),)
        self._result = Result((Samples.of(self.families[0], float(number)),))

    def collect(self, run: Run) -> Result:
        return self._result


class Waiting(Plain):
    """Waits once for the event loop."""

    async def collect(self, run: Run) -> Result:  # type: ignore[override]
        await asyncio.sleep(0)
        return self._result


def cycle(collectors: Sequence[Plain]) -> Round:
    """Ours: every run timed, counted and checked, and a snapshot made."""
    found = Cycle(SystemClock(), Meter("platform_exporter_"), DaemonPool("calls", 1), lambda: 0)
    found.configure(Plan([Entry(collector, 15.0, TIMEOUT) for collector in collectors], timeout=TIMEOUT))
    names = [collector.name for collector in collectors]
    return lambda: found.run(names)


def gathered(collectors: Sequence[Plain], guarded: Callable[[Plain], Awaitable[Result]]) -> Round:
    """The usual: a task and a timeout for each, its duration and whether it failed."""

    async def one(collector: Plain) -> tuple[Result | None, float]:
        began = time.monotonic()
        try:
            return await guarded(collector), time.monotonic() - began
        except Exception:
            return None, time.monotonic() - began

    async def round() -> object:
        return await asyncio.gather(*[one(collector) for collector in collectors])

    return round


async def _answer(collector: Plain) -> Result:
    found = collector.collect(Run(1, TIMEOUT, 0.0))
    return found if isinstance(found, Result) else await found


async def _timeout(collector: Plain) -> Result:
    async with asyncio.timeout(TIMEOUT):
        return await _answer(collector)


async def _wait_for(collector: Plain) -> Result:
    return await asyncio.wait_for(_answer(collector), TIMEOUT)


def spent(round: Round, size: int) -> float:
    """CPU microseconds of one round."""
    rounds = max(20, 7_000 // size)

    async def work() -> float:
        for _ in range(5):
            await round()
        began = time.process_time()
        for _ in range(rounds):
            await round()
        return (time.process_time() - began) / rounds * 1e6

    return asyncio.run(work())


def _rows(table: Table, kind: type[Plain], size: int, case: str, goal: Goal | None) -> None:
    collectors = [kind(number) for number in range(size)]
    rounds = {
        "ours": cycle(collectors),
        "gather, asyncio.timeout each": gathered(collectors, _timeout),
        "gather, wait_for each": gathered(collectors, _wait_for),
    }
    found = in_turn({name: lambda it=it: spent(it, size) for name, it in rounds.items()}, table)  # type: ignore[misc]
    ours = found.pop("ours")
    table.rows += [Row(str(size), case, ours, peer, theirs, goal=goal) for peer, theirs in found.items()]


def _floor(size: int) -> float:
    collectors = [Plain(number) for number in range(size)]
    run = Run(1, TIMEOUT, 0.0)

    async def round() -> None:
        for collector in collectors:
            collector.collect(run)

    return statistics.median(spent(round, size) for _ in range(REPEATS))


def _own_metrics(collectors: int) -> float:
    """CPU microseconds for the copy of everything the engine counts."""
    meter = Meter("platform_exporter_")
    engine = Cycle(SystemClock(), meter, DaemonPool("calls", 1), lambda: 0)
    engine.configure(Plan([Entry(Plain(number), 15.0, TIMEOUT) for number in range(collectors)]))
    asyncio.run(_once(engine))

    async def round() -> None:
        meter.capture()

    return statistics.median(spent(round, collectors) for _ in range(REPEATS))


async def _once(engine: Cycle) -> None:
    await engine.run(engine.names())


def tables() -> list[Table]:
    """The table of this area."""
    table = Table("P3 cycle: CPU microseconds per cycle, the snapshot included in ours", "collectors")
    for size in PLAIN_SIZES:
        _rows(table, Plain, size, "plain", PLAIN_GOALS.get(size))
    for size in SIZES:
        _rows(table, Waiting, size, "waiting once", Goal(100, "most", "us") if size == 7 else None)
    table.rows.append(Row("1000", "capture of self-metrics", _own_metrics(1000), goal=Goal(200, "most", "us")))
    table.notes.append(
        f"calling 7 and 1000 plain collectors and nothing else: {_floor(7):.2f} and {_floor(1000):.0f} us"
    )
    return [table]


def main() -> None:
    """Prints the table."""
    for table in tables():
        table.print()


if __name__ == "__main__":
    main()
