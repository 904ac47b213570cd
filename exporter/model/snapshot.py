"""The immutable result of a cycle, and how the right half gets at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from exporter.model.metric import Samples
from exporter.model.reason import Outcome, Reason


class Record(NamedTuple):
    """How the last run of one collector ended. Times are wall clock; None means never."""

    collector: str
    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""
    started: float | None = None
    duration: float | None = None
    last_success: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one cycle found. `samples` and `records` are in the order of the configuration.

    `own` is what the daemon counted about itself when this snapshot was made. After `expires` (monotonic) the
    snapshot is too old to be shown: cycles have stopped.
    """

    id: int
    wall: float
    monotonic: float
    duration: float
    expires: float
    samples: Mapping[str, tuple[Samples, ...]]
    records: Mapping[str, Record]
    details: Mapping[str, object]
    own: tuple[Samples, ...]


class Feed(Protocol):
    """Where snapshots come from, for those who only read them."""

    def current(self) -> Snapshot | None: ...
    def subscribe(self) -> AsyncIterator[Snapshot]:
        """Every snapshot from now on; one that is not fetched in time is replaced by the next and counted as lost."""
        ...
