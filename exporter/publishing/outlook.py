"""What history says of the last hour, and whether it is getting worse: asked in the background, never by whoever reads.

The score and the pages have what was answered last. If history does not answer for long they have nothing, rather than
something old.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from exporter.instruments.log import say
from exporter.model.collector import Clock, Offload
from exporter.model.errors import Unavailable
from exporter.model.metric import Key, Kind
from exporter.model.snapshot import Snapshot
from exporter.publishing.deliveries import JOBS, NONE, REQUESTS, Names, Reading, Tally, by_target, ended, total
from exporter.publishing.dialects.catalogue import FAMILIES, ORIGIN
from exporter.publishing.latency import JOB_SECONDS, PUBLISHER_SECONDS, Latency, Timing, is_before, latency
from exporter.publishing.material import ATTEMPTS, QUEUE_SIZE, Found, joined, material, recent
from exporter.publishing.past import HOUR, MINUTE, BadRange, Increase, Past, Selector, Sum
from exporter.publishing.signals import LastPublish
from exporter.publishing.trends import BASELINE, INTERVAL, RECENT, UNKNOWN, Trends, trends
from exporter.publishing.world import World

_log = logging.getLogger(__name__)

# Between two looks: at least so long, and so many times as long as a look takes, though not longer than that.
PAUSE, PAUSES, LONGEST = 10.0, 50.0, 60.0
STALE = 300.0
# With less of an hour it has not been watched, unless the hour before it was watched as well: then there was a gap.
ENOUGH = 0.9

# What trends are made of: families, which number of them, and the labels by which they are told apart.
_COURSES: Sequence[tuple[str, str | None, tuple[str, ...]]] = (
    (JOBS, None, FAMILIES[JOBS].labels),
    (REQUESTS, None, FAMILIES[REQUESTS].labels),
    (JOB_SECONDS, "sum", ()),
    (PUBLISHER_SECONDS, "sum", ("publisher",)),
    (ATTEMPTS, None, ("publisher",)),
    (QUEUE_SIZE, None, ()),
)


@dataclass(frozen=True, slots=True)
class Hour:
    """The last hour; None: it was not watched, or that much cannot be asked."""

    tally: Tally | None = None
    latency: Latency | None = None
    targets: Mapping[str, Tally] = field(default_factory=dict)


class View(NamedTuple):
    """All that is told by history at one moment."""

    hour: Hour = Hour()
    trends: Trends = UNKNOWN
    last: Mapping[str, LastPublish] = MappingProxyType({})


NOTHING = View()


class Outlook:
    """Looks at history again and again."""

    def __init__(self, past: Past, clock: Clock, offload: Offload, prefix: str = "publishing") -> None:
        self._past = past
        self._clock = clock
        self._offload = offload
        self.prefix = prefix  # of the families, as they are stored from now on
        self._view = NOTHING
        self._day: tuple[tuple[str, float], Found] = (("", 0.0), {})
        self._seen = self._next = float("-inf")

    def view(self) -> View:
        """What was seen last."""
        return self._view if self._clock.monotonic() - self._seen < STALE else NOTHING

    async def follow(self, feed: AsyncIterator[Snapshot]) -> None:
        """Looks after a snapshot, though not after each."""
        async for snapshot in feed:
            begin = self._clock.monotonic()
            if begin >= self._next:
                await self._try(snapshot)
                ended = self._clock.monotonic()
                self._next = ended + max(PAUSE, min(PAUSES * (ended - begin), LONGEST))

    async def _try(self, snapshot: Snapshot) -> None:
        world = World.of(snapshot.details)
        try:
            await self.look(Names.of(world.upstreams, world.configured))
        except (BadRange, Unavailable, TimeoutError):
            return  # what was seen last grows old
        except Exception as error:
            # Odd enough to be told; a daemon without trends is better than none.
            say(_log, logging.ERROR, "what history says could not be judged", exception=type(error).__name__)

    async def look(self, names: Names) -> None:
        """Asks for everything."""
        now = self._clock.wall()
        # The minute and the interval that have just begun are part of it.
        hour = await self._hour((now // MINUTE + 1) * MINUTE, names)
        end = (now // INTERVAL + 1) * INTERVAL
        begin = end - RECENT * INTERVAL
        found = joined(await self._before(begin), await self._found(begin, end), begin)
        judged = await self._offload(lambda: View(hour, trends(material(found, names), now), recent(found, names, now)))
        self._view, self._seen = judged, self._clock.monotonic()

    # -- the last hour

    async def _hour(self, end: float, names: Names) -> Hour:
        found = [(family, await self._increases(family, end - HOUR, end)) for family in (JOBS, REQUESTS)]
        readings = [
            Reading(family, _key(family, one.series.labels), one) for family, all_of_it in found for one in all_of_it
        ]
        counts: dict[tuple[tuple[str, str], str | None], Tally] = {}
        coverage = 0.0
        for origin, target, succeeded, one in ended(readings, names):
            coverage = max(coverage, one.coverage)
            tally = Tally(one.amount, 0.0) if succeeded else Tally(0.0, one.amount)
            counts[origin, target] = counts.get((origin, target), NONE).plus(tally)
        if coverage < ENOUGH and not await self._watched_before(end):
            return Hour()
        return Hour(total(counts), await self._latency(end), by_target(counts))

    async def _watched_before(self, end: float) -> bool:
        families = (JOBS, REQUESTS)
        return any([await self._increases(family, end - 2 * HOUR, end - HOUR) for family in families])

    async def _latency(self, end: float) -> Latency | None:
        found: list[Timing] = []
        for family in (JOB_SECONDS, PUBLISHER_SECONDS):
            try:
                answer = await self._past.increases(self._selector(family), end - HOUR, end)
            except BadRange:  # too many: what they say since their start has to do
                return None
            found += [_timing(family, one) for one in answer if one.series.kind is Kind.HISTOGRAM]
        return latency(found)

    # -- the day

    async def _before(self, end: float) -> Found:
        """The day before, which is dear to ask for, and another one only every five minutes."""
        if self._day[0] != (self.prefix, end):
            try:
                day = await self._found(end - BASELINE * INTERVAL, end)
            except (BadRange, TimeoutError):
                day = {}  # too much, and no less when asked again at once: the hour has to do without it
            self._day = ((self.prefix, end), day)
        return self._day[1]

    async def _found(self, start: float, end: float) -> Found:
        found: dict[str, list[tuple[Key, Sum]]] = {}
        for family, part, by in _COURSES:
            sums = await self._past.sums(self._selector(family, part), start, end, INTERVAL, (*by, *ORIGIN))
            found[family] = [(_key(family, one.labels), one) for one in sums]
        return found

    # -- questions

    async def _increases(self, family: str, start: float, end: float) -> Sequence[Increase]:
        return await self._past.increases(self._selector(family), start, end)

    def _selector(self, family: str, part: str | None = None) -> Selector:
        return Selector(f"{self.prefix}_{family}", part=part)


def _key(family: str, labels: Mapping[str, str]) -> Key:
    """The label values of a series in the order of its family; the collectors append upstream and replica."""
    return tuple([labels.get(label, "") for label in (*FAMILIES[family].labels, *ORIGIN)])


def _timing(family: str, increase: Increase) -> Timing:
    key, part = _key(family, increase.series.labels), increase.series.part
    origin = (key[-2], key[-1])
    return Timing(family, origin, is_before(family, key), None if part == "sum" else float(part), increase.amount)
