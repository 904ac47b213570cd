"""The contract between a collector and the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from exporter.model.metric import Family, Result

T = TypeVar("T")


class Run(NamedTuple):
    """What one run may know. `deadline` is on the clock's monotonic scale."""

    cycle: int
    deadline: float
    wall: float


class Clock(Protocol):
    """Time as a parameter, so that tests need not wait for it."""

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...


class Offload(Protocol):
    """Runs a blocking call on a daemon thread; the caller may stop waiting at any time."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


@runtime_checkable
class Collector(Protocol):
    """Turns what sources know into samples.

    `collect` is plain or async. Optional attributes change how the engine treats it:
    `blocking = True` runs it on a thread, `every_tick = True` runs it at each tick because it spreads its own interval.
    """

    @property
    def name(self) -> str: ...
    @property
    def families(self) -> Sequence[Family] | None: ...  # None: known only from the first result (the bridge)
    def collect(self, run: Run) -> Result | Awaitable[Result]: ...


@runtime_checkable
class Derived(Protocol):
    """A collector computed from the other collectors' results of the same cycle: plain and pure."""

    @property
    def name(self) -> str: ...
    @property
    def families(self) -> Sequence[Family] | None: ...
    def derive(self, results: Mapping[str, Result]) -> Result: ...
