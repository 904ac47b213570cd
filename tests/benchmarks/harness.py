"""What every area shares: where things run, how long they take in the presence of others, and how a table looks."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

# What is measured has a core of its own, and so has what puts load on it.
SERVER_CPU, LOAD_CPU = 0, max(os.sched_getaffinity(0))
REPEATS = 5
_QUIET = 0.08  # a sample with more of a core used by others is taken again, if there is time for it
_MORE = 2
_NICE = -15

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold: for our own number, or for how many times better than the peer we are."""

    limit: float
    of: str  # "ratio" (at least), "most" or "least" (our own number)
    unit: str = ""

    def met(self, row: Row) -> bool | None:
        """None if there is nothing to compare with."""
        if self.of == "ratio":
            return None if row.ratio is None else row.ratio >= self.limit
        return row.ours <= self.limit if self.of == "most" else row.ours >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.of == "most" else "≥"
        return f"{sign} {_number(self.limit)}" + (" x" if self.of == "ratio" else f" {self.unit}".rstrip())


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. The ratio says how many times better ours is, whether more or less is better."""

    size: str
    case: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    more_is_better: bool = False
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        if not self.theirs or not self.ours:
            return None
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours


@dataclass
class Table:
    """What one area found."""

    title: str
    sizes: str  # what the first column counts
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)

    def print(self) -> None:
        lines = [(self.sizes, "what", "ours", "peer's", "peer", "ratio", "goal", "")]
        for row in self.rows:
            theirs = "" if row.theirs is None else _number(row.theirs)
            ratio = "" if row.ratio is None else f"{_number(row.ratio)} x"
            goal = "" if row.goal is None else str(row.goal)
            verdict = (
                "" if row.goal is None else {True: "met", False: "MISSED", None: "not measured"}[row.goal.met(row)]
            )
            lines.append((row.size, row.case, _number(row.ours), theirs, row.peer, ratio, goal, verdict))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        print(f"\n{self.title}\n{'-' * len(self.title)}")
        for line in lines:
            cells = [
                text.rjust(width) if at in (0, 2, 3, 5) else text.ljust(width)
                for at, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            print("  ".join(cells).rstrip())
        for note in self.notes:
            print(f"  {note}")
        if self.foreign:
            middle, worst = statistics.median(self.foreign), max(self.foreign)
            print(f"  used by others meanwhile: {middle:.0%} of a core in the median, {worst:.0%} at worst")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def pinned(cpu: int, command: Sequence[str]) -> list[str]:
    """The command on one cpu; it is as nice as this process."""
    return ["taskset", "-c", str(cpu), *command]


def here(cpu: int) -> None:
    """This process, and what it starts, on one cpu: ahead of what else runs on this machine, if it may be."""
    os.sched_setaffinity(0, {cpu})
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def cpu_of(pid: int) -> float:
    """CPU seconds a process has used, to the nanosecond: its clock, not the scheduler's ticks."""
    return time.clock_gettime((~pid << 3) | 2)


def _busy() -> float:
    """CPU seconds the whole machine has used."""
    with open("/proc/stat") as file:
        user, nice, system = map(int, file.readline().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    return sum(os.times()[:4])


def watched(work: Callable[[], T], pids: Iterable[int]) -> tuple[T, float]:
    """The result of the work, and how much of a core was used meanwhile by anything but us and these processes."""
    known = list(pids)
    begin, busy, own, theirs = time.monotonic(), _busy(), _own(), sum(map(cpu_of, known))
    result = work()
    used = _own() - own + sum(map(cpu_of, known)) - theirs
    return result, max(0.0, _busy() - busy - used) / (time.monotonic() - begin)


def taken(works: Mapping[K, Callable[[], T]], table: Table, pids: Iterable[int] = ()) -> dict[K, list[T]]:
    """Some results of each work. They take turns, so that whatever disturbs one disturbs all alike.

    Disturbed samples are replaced by quieter ones, if a few more rounds give them.
    """
    known = list(pids)
    samples: dict[K, list[tuple[float, T]]] = {name: [] for name in works}  # share of others, result
    for _ in range(REPEATS + _MORE):
        for name, work in works.items():
            if sum(share <= _QUIET for share, _ in samples[name]) < REPEATS:
                result, share = watched(work, known)
                samples[name].append((share, result))
    kept = {name: sorted(found, key=lambda sample: sample[0])[:REPEATS] for name, found in samples.items()}
    table.foreign += [share for found in kept.values() for share, _ in found]
    return {name: [result for _, result in found] for name, found in kept.items()}


def in_turn(works: Mapping[K, Callable[[], float]], table: Table, pids: Iterable[int] = ()) -> dict[K, float]:
    """The median of each work's results."""
    return {name: statistics.median(found) for name, found in taken(works, table, pids).items()}
