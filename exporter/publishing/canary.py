"""Alerts sent only to see whether they come back: what is on its way, what came home, and what was lost."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from exporter.instruments.meter import Meter
from exporter.model.collector import Clock

ID_LABEL = "canary_id"
_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_REMEMBERED = 32  # lost ones by which a late return is known


class Tally:
    """What is counted about canaries; the collector shows it under its prefix."""

    def __init__(self) -> None:
        self.meter = Meter()
        labels = ("upstream",)
        self.last = self.meter.gauge(
            "canary_last_received_timestamp_seconds", "When a canary alert last came back.", labels, unit="seconds"
        )
        self.roundtrip = self.meter.histogram(
            "canary_roundtrip_seconds", "Time from sending a canary alert until it came back.", _BOUNDS, labels
        )
        self.sent = self.meter.counter("canary_sent_total", "Canary alerts sent, or tried to.", labels)
        self.lost = self.meter.counter("canary_lost_total", "Canary alerts that did not come back in time.", labels)

    def begin(self, upstream: str) -> None:
        """A service has canaries from now on: the first that is lost has to be an increase."""
        self.sent.labels(upstream)
        self.lost.labels(upstream)

    def forget(self, upstream: str) -> None:
        """It has none any more."""
        for instrument in (self.last, self.roundtrip, self.sent, self.lost):
            instrument.remove(upstream)


class Returned(NamedTuple):
    """One that came back; `late` if it had been counted as lost by then."""

    seconds: float
    late: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    id: str
    at: float


class Canary:
    """The canaries of one service. One at most is on its way; whatever comes back twice counts once."""

    def __init__(self, upstream: str, tally: Tally, clock: Clock) -> None:
        self.upstream = upstream
        self._tally = tally
        self._clock = clock
        self._out: _Sent | None = None
        self._gone: deque[_Sent] = deque(maxlen=_REMEMBERED)
        tally.begin(upstream)

    def leave(self) -> str:
        """The id of the next one, which nobody can guess. One that is still out is lost with this."""
        self.give_up()
        self._out = _Sent(secrets.token_hex(16), self._clock.monotonic())
        self._tally.sent.labels(self.upstream).inc()
        return self._out.id

    def give_up(self) -> bool:
        """The time of the one on its way is over; tells whether there was one."""
        if self._out is None:
            return False
        self.release()
        self._tally.lost.labels(self.upstream).inc()
        return True

    def release(self) -> None:
        """Nobody waits for the one on its way any more, and it is not lost either: what it was sent for has changed."""
        if self._out is not None:
            self._gone.append(self._out)
            self._out = None

    def back(self, ids: Iterable[str]) -> list[Returned]:
        """Takes what came back. An id that is unknown, or was here already, is none of ours."""
        return [returned for id in ids if (returned := self._taken(id)) is not None]

    def _taken(self, id: str) -> Returned | None:
        now = self._clock.monotonic()
        if self._out is not None and self._out.id == id:
            seconds = now - self._out.at
            self._out = None
            self._tally.roundtrip.labels(self.upstream).observe(seconds)
            returned = Returned(seconds, late=False)
        elif (late := next((one for one in self._gone if one.id == id), None)) is not None:
            # Lost it stays: it was not there when it was needed. But it tells that there is still a way.
            self._gone.remove(late)
            returned = Returned(now - late.at, late=True)
        else:
            return None
        self._tally.last.labels(self.upstream).set(self._clock.wall())
        return returned


class Aviary(Protocol):
    """Where canaries come home to, as those see it who let them in."""

    @property
    def expecting(self) -> bool:
        """Whether any are sent at all."""

    def holders(self, token: bytes) -> Sequence[str]:
        """The services whose canaries come with this token."""

    def returned(self, holders: Sequence[str], ids: Sequence[str]) -> int:
        """Takes what came back for these services; how many were really theirs."""
