"""How publishing stands: put together once per cycle, so that whoever asks only looks it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar

from exporter.model.metric import Key
from exporter.publishing import score as scores
from exporter.publishing.deliveries import NONE, Counts, Names, Published, Tally, by_target, counts, total
from exporter.publishing.health import TargetHealth
from exporter.publishing.latency import Latency, latency, timings
from exporter.publishing.material import QUEUE_SIZE
from exporter.publishing.outlook import Hour, View
from exporter.publishing.score import Basis, Score, score
from exporter.publishing.signals import NEVER, LastPublish, Publishes, Signal, Signals, Use, probed, use_of
from exporter.publishing.trends import UNKNOWN, Trends
from exporter.publishing.upstream import UpstreamState
from exporter.publishing.verdict import HealthState
from exporter.publishing.world import World

UTILIZATION = "queue_capacity_utilization"
P95 = 0.95

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStanding:
    """All that is known of one target; one that is not configured here has no type."""

    name: str
    type: str | None = None
    enabled: bool | None = None
    origin: str | None = None
    state: HealthState = HealthState.UNKNOWN
    health: TargetHealth | None = None
    jobs: Tally = NONE
    hour: Tally | None = None
    signals: Signals = field(default_factory=dict)
    last: LastPublish = NEVER
    use: Use | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Everything together. `states` counts the targets that are switched on."""

    targets: int = 0
    disabled: int = 0
    states: Mapping[HealthState, int] = field(default_factory=dict)
    jobs: Tally = NONE
    success_percent: float | None = None
    queue_size: float | None = None
    queue_capacity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDetail:
    """The whole of it, in one snapshot: what pages, answers and series tell is the same."""

    score: Score = field(default_factory=lambda: score({}))
    system: System = field(default_factory=System)
    targets: Mapping[str, TargetStanding] = field(default_factory=dict)
    trends: Trends = UNKNOWN
    upstreams: tuple[UpstreamState, ...] = ()


class Book:
    """Keeps what must be known from one cycle to the next."""

    def __init__(self) -> None:
        self._publishes = Publishes()
        self._capacities: dict[Key, float] = {}

    def standing(self, world: World, view: View) -> ScoreDetail:
        """How everything stands in this cycle."""
        upstreams = world.upstreams
        found = counts(upstreams, Names.of(upstreams, world.configured))
        published = Published.of(upstreams, found)
        self._observe(world, view, found, published)
        targets = dict(self._targets(world, view.hour, by_target(found), published))
        depth = _sum(column(upstreams, QUEUE_SIZE).values())
        jobs = total(found)
        judged = _score(world, view.hour, jobs, depth, latency(timings(upstreams)))
        states = Counter(one.state for one in targets.values() if one.enabled)
        system = System(
            targets=len(world.targets),
            disabled=sum(one.enabled is False for one in targets.values()),
            states=states,
            jobs=jobs,
            success_percent=judged.components["success"].value,
            queue_size=depth,
            queue_capacity=self._capacity(upstreams),
        )
        return ScoreDetail(score=judged, system=system, targets=targets, trends=view.trends, upstreams=upstreams)

    def _observe(self, world: World, view: View, found: Counts, published: Published) -> None:
        if not world.upstreams:  # a cycle without an answer: nobody is forgotten for that
            return
        replicas = {(one.upstream, replica.replica): replica for one in world.upstreams for replica in one.replicas}
        self._publishes.observe(found, {origin: replica.at for origin, replica in replicas.items() if replica.up})
        known = published.targets | world.configured
        self._publishes.recall({name: last for name, last in view.last.items() if name in known})
        if all(replica.up for replica in replicas.values()):
            self._publishes.forget(known, replicas)

    def _targets(
        self, world: World, hour: Hour, jobs: Mapping[str, Tally], published: Published
    ) -> Iterator[tuple[str, TargetStanding]]:
        for name in (*world.targets, *sorted(published.targets - world.configured)):
            target, health = world.targets.get(name), world.health.get(name)
            last = self._publishes.of(name)
            said: dict[Signal, bool] = {**(probed(health) if health else {})}
            if last.succeeded is not None:
                said[Signal.PUBLISH] = last.succeeded
            yield (
                name,
                TargetStanding(
                    name=name,
                    type=target.type if target else None,
                    enabled=target.enabled if target else None,
                    origin=target.origin if target else None,
                    state=health.state if health else HealthState.UNKNOWN,
                    health=health,
                    jobs=jobs.get(name, NONE),
                    hour=None if hour.tally is None else hour.targets.get(name, NONE),
                    signals=said,
                    last=last,
                    use=use_of(name, world.targets, published),
                ),
            )

    def _capacity(self, upstreams: Sequence[UpstreamState]) -> float | None:
        """Worked out from how full a queue is, as nobody says it; an empty queue keeps what was known of it."""
        sizes, shares = column(upstreams, QUEUE_SIZE), column(upstreams, UTILIZATION)
        fresh = {key: round(sizes[key] / share) for key, share in shares.items() if share > 0 and key in sizes}
        known = {**self._capacities, **fresh}
        self._capacities = {key: known[key] for key in sizes if key in known}
        return _sum(self._capacities.values()) if len(self._capacities) == len(sizes) else None


def column(upstreams: Sequence[UpstreamState], family: str) -> dict[Key, float]:
    """The numbers of a family of all replicas."""
    return {
        key: value
        for upstream in upstreams
        for replica in upstream.replicas
        for rows in replica.rows
        if rows.family == family
        for key, value in zip(rows.keys, rows.values, strict=True)
        if isfinite(value)
    }


def _sum(numbers: Collection[float]) -> float | None:
    return sum(numbers) if numbers else None


def _score(world: World, hour: Hour, jobs: Tally, depth: float | None, durations: Latency) -> Score:
    enabled = [one for one in world.health.values() if one.enabled and one.last_probe is not None]
    reachable = scores.availability(sum(one.state is HealthState.HEALTHY for one in enabled), len(enabled))
    return score(
        {
            "success": _over(hour.tally, jobs, lambda tally: tally.percent),
            "availability": None if reachable is None else (reachable, Basis.NOW),
            "performance": _over(hour.latency, durations, _performance),
            "queue": None if depth is None else (scores.queue(depth), Basis.NOW),
        }
    )


def _over(hour: T | None, lifetime: T, value: Callable[[T], float | None]) -> tuple[float, Basis] | None:
    """A component over the last hour; until one was watched over all the time the services have run.

    An hour in which nothing happened has no value, and the days before it do not stand in: that would be old.
    """
    found = value(lifetime if hour is None else hour)
    return None if found is None else (found, Basis.LIFETIME if hour is None else Basis.WINDOW)


def _performance(durations: Latency) -> float | None:
    p95 = durations.quantile(P95)
    return None if p95 is None else scores.performance(p95)
