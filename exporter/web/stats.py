"""How publishing stands: all together, by group, and target by target."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from exporter.exposition.format import Format
from exporter.exposition.render import Renderer
from exporter.model.metric import Family, Samples
from exporter.model.snapshot import Snapshot
from exporter.publishing.deliveries import Tally
from exporter.publishing.signals import LastPublish, Signal
from exporter.publishing.statistics import ScoreDetail, System, TargetStanding
from exporter.publishing.verdict import HealthState
from exporter.web.answers import JSON, ErrorAnswer, Refused
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, Text, detail, instant
from exporter.web.route import Answer, Route, path_value
from exporter.web.samples import SampleShown, TargetIndex
from exporter.web.site import Site
from exporter.web.stats_query import ONE_PARAMETERS, PARAMETERS, StatsQuery, wants_text
from exporter.web.targets import BAD_PARAMETER, NO_SUCH_TARGET
from exporter.web.trends import ErrorTrendShown, error_trend

PATH = "/api/v2/publishing/stats"
_TEXT = Format.TEXT.content_type


class JobsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that ended; no percentage where there are none."""

    total_processed: float
    succeeded: float
    failed: float
    success_rate_percent: float | None


class SystemShown(msgspec.Struct, frozen=True, kw_only=True):
    """Everything together, whatever the list is filtered by. The states count targets that are switched on."""

    total_targets: int
    healthy_targets: int
    degraded_targets: int
    unhealthy_targets: int
    unknown_targets: int
    disabled_targets: int
    success_rate_percent: float | None
    queue_size: float | None
    queue_capacity: float | None
    jobs: JobsShown


class GroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of one type, of one state, or one target."""

    group: str
    total_targets: int
    healthy_targets: int
    degraded_targets: int
    unhealthy_targets: int
    unknown_targets: int
    jobs: JobsShown


class HealthShown(msgspec.Struct, frozen=True, kw_only=True):
    """What probes say."""

    status: str
    success_rate_percent: float | None
    consecutive_failures: int | None
    last_check: datetime | None


class SignalsShown(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a delivery; null where it is not known whether they work."""

    resolve: bool | None
    connect: bool | None
    tls: bool | None
    answer: bool | None
    publish: bool | None


class LastPublishShown(msgspec.Struct, frozen=True, kw_only=True):
    success: datetime | None
    failure: datetime | None


class TargetStats(msgspec.Struct, frozen=True, kw_only=True):
    """One target. One that is published to without being configured here has no type."""

    target_name: str
    target_type: str | None
    enabled: bool | None
    origin: str | None
    use: str | None
    health: HealthShown
    signals: SignalsShown
    last_publish: LastPublishShown
    jobs: JobsShown
    jobs_last_hour: JobsShown | None


class OneTargetAnswer(TargetStats, frozen=True, kw_only=True):
    timestamp: datetime | None
    trend: ErrorTrendShown | None
    metrics: tuple[SampleShown, ...]
    snapshot_id: int
    age_seconds: float


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`total` counts all targets that fit the filter, also those before and behind this part of them."""

    timestamp: datetime | None
    system: SystemShown
    groups: tuple[GroupShown, ...]
    targets: tuple[TargetStats, ...]
    total: int
    offset: int
    limit: int | None
    snapshot_id: int
    age_seconds: float


def routes(site: Site) -> list[Route]:
    stats = _Stats(site)
    return [
        Route(
            path=PATH,
            name="stats",
            summary="How publishing stands, all together and target by target.",
            handler=stats.all,
            parameters=PARAMETERS,
            answers={
                200: Answer("the figures", (JSON, _TEXT), StatsAnswer),
                304: UNCHANGED,
                400: BAD_PARAMETER,
                503: Answer(NOT_YET.description, (JSON,), ErrorAnswer),
            },
        ),
        Route(
            path=f"{PATH}/{{target}}",
            name="targetStats",
            summary="How publishing to one target stands.",
            handler=stats.one,
            parameters=ONE_PARAMETERS,
            answers={
                200: Answer("the figures", (JSON, _TEXT), OneTargetAnswer),
                304: UNCHANGED,
                400: BAD_PARAMETER,
                404: NO_SUCH_TARGET,
                503: Answer(NOT_YET.description, (JSON,), ErrorAnswer),
            },
        ),
    ]


class _Stats:
    def __init__(self, site: Site) -> None:
        self._lists, self._single = Contents(site), Contents(site)
        self._index = TargetIndex()

    async def all(self, request: web.BaseRequest) -> web.Response:
        query, text = StatsQuery.of(request), wants_text(request)
        return await self._lists.answer_aside(
            request, (query, text), lambda snapshot: _text(snapshot) if text else _stats(snapshot, query)
        )

    async def one(self, request: web.BaseRequest) -> web.Response:
        name, text = path_value(request, "target"), wants_text(request)
        return self._single.answer(request, (name, text), lambda snapshot: self._target(snapshot, name, text))

    def _target(self, snapshot: Snapshot, name: str, text: bool) -> object:
        standing = detail(snapshot, "score", ScoreDetail)
        target = standing.targets.get(name)
        if target is None:
            raise Refused(HTTPStatus.NOT_FOUND, "unknown_target", "there is no target of this name")
        if text:
            return _rendered(_target_gauges(target))
        trend = standing.trends.targets.get(name)
        return OneTargetAnswer(
            **asdict(_shown(target)),
            timestamp=instant(snapshot.wall),
            trend=error_trend(trend) if trend else None,
            metrics=tuple(self._index.samples(snapshot, name)),
            **UNSTAMPED,
        )


def _stats(snapshot: Snapshot, query: StatsQuery) -> StatsAnswer:
    standing = detail(snapshot, "score", ScoreDetail)
    fitting = query.of_all(list(standing.targets.values()))
    return StatsAnswer(
        timestamp=instant(snapshot.wall),
        system=_system(standing.system),
        groups=tuple(_group(name, members) for name, members in query.groups(fitting).items()),
        targets=tuple(map(_shown, query.page(fitting))),
        total=len(fitting),
        offset=query.offset,
        limit=query.limit,
        **UNSTAMPED,
    )


def _system(system: System) -> SystemShown:
    states = system.states
    return SystemShown(
        total_targets=system.targets,
        healthy_targets=states.get(HealthState.HEALTHY, 0),
        degraded_targets=states.get(HealthState.DEGRADED, 0),
        unhealthy_targets=states.get(HealthState.UNHEALTHY, 0),
        unknown_targets=states.get(HealthState.UNKNOWN, 0),
        disabled_targets=system.disabled,
        success_rate_percent=system.success_percent,
        queue_size=system.queue_size,
        queue_capacity=system.queue_capacity,
        jobs=_jobs(system.jobs),
    )


def _group(name: str, members: list[TargetStanding]) -> GroupShown:
    jobs = [one.jobs for one in members]
    states = [one.state for one in members]
    return GroupShown(
        group=name,
        total_targets=len(members),
        healthy_targets=states.count(HealthState.HEALTHY),
        degraded_targets=states.count(HealthState.DEGRADED),
        unhealthy_targets=states.count(HealthState.UNHEALTHY),
        unknown_targets=states.count(HealthState.UNKNOWN),
        jobs=_jobs(Tally(sum(one.succeeded for one in jobs), sum(one.failed for one in jobs))),
    )


def _jobs(tally: Tally) -> JobsShown:
    return JobsShown(
        total_processed=tally.finished,
        succeeded=tally.succeeded,
        failed=tally.failed,
        success_rate_percent=tally.percent,
    )


def _shown(target: TargetStanding) -> TargetStats:
    health = target.health
    return TargetStats(
        target_name=target.name,
        target_type=target.type,
        enabled=target.enabled,
        origin=target.origin,
        use=target.use,
        health=HealthShown(
            status=target.state,
            success_rate_percent=health.success_rate if health else None,
            consecutive_failures=health.consecutive_failures if health else None,
            last_check=instant(health.last_probe) if health else None,
        ),
        signals=SignalsShown(**{signal.value: target.signals.get(signal) for signal in Signal}),
        last_publish=_last(target.last),
        jobs=_jobs(target.jobs),
        jobs_last_hour=None if target.hour is None else _jobs(target.hour),
    )


def _last(last: LastPublish) -> LastPublishShown:
    return LastPublishShown(success=instant(last.success), failure=instant(last.failure))


def _text(snapshot: Snapshot) -> Text:
    shown = _system(detail(snapshot, "score", ScoreDetail).system)
    return _rendered({name: value for name, value in asdict(shown).items() if isinstance(value, int | float)})


def _target_gauges(target: TargetStanding) -> dict[str, float]:
    shown = _jobs(target.jobs)
    return {f"target_{name}": value for name, value in asdict(shown).items() if value is not None}


def _rendered(figures: dict[str, float]) -> Text:
    samples = [
        Samples.of(Family(f"publishing_stats_{name}", f"{name.replace('_', ' ').capitalize()}."), float(value))
        for name, value in figures.items()
    ]
    return Text(b"".join(Renderer().render(samples, Format.TEXT)), _TEXT)
