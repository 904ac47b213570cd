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
from exporter.publishing.statistics import ScoreDetail, TargetStanding
from exporter.web.answers import JSON, ErrorAnswer, Refused
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, Text, detail, instant
from exporter.web.route import Answer, Route, path_value
from exporter.web.samples import SampleShown, TargetIndex
from exporter.web.site import Site
from exporter.web.stats_query import ONE_PARAMETERS, PARAMETERS, StatsQuery, wants_text
from exporter.web.stats_shown import (
    GroupShown,
    SystemShown,
    TargetStats,
    group_shown,
    jobs_shown,
    system_shown,
    target_shown,
)
from exporter.web.targets import BAD_PARAMETER, NO_SUCH_TARGET
from exporter.web.trends import ErrorTrendShown, error_trend

PATH = "/api/v2/publishing/stats"
_TEXT = Format.TEXT.content_type


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
            **asdict(target_shown(target)),
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
        system=system_shown(standing.system),
        groups=tuple(group_shown(name, members) for name, members in query.groups(fitting).items()),
        targets=tuple(map(target_shown, query.page(fitting))),
        total=len(fitting),
        offset=query.offset,
        limit=query.limit,
        **UNSTAMPED,
    )


def _text(snapshot: Snapshot) -> Text:
    shown = system_shown(detail(snapshot, "score", ScoreDetail).system)
    return _rendered({name: value for name, value in asdict(shown).items() if isinstance(value, int | float)})


def _target_gauges(target: TargetStanding) -> dict[str, float]:
    shown = jobs_shown(target.jobs)
    return {f"target_{name}": value for name, value in asdict(shown).items() if value is not None}


def _rendered(figures: dict[str, float]) -> Text:
    samples = [
        Samples.of(Family(f"publishing_stats_{name}", f"{name.replace('_', ' ').capitalize()}."), float(value))
        for name, value in figures.items()
    ]
    return Text(b"".join(Renderer().render(samples, Format.TEXT)), _TEXT)
