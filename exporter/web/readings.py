"""The snapshot as JSON: every sample of the publishing families, and how each collector did."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from exporter.model.reason import Outcome
from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.upstream import ReplicaState, UpstreamState
from exporter.publishing.world import World
from exporter.web.answers import JSON, ErrorAnswer
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, instant, milliseconds
from exporter.web.route import Answer, Route
from exporter.web.samples import SampleShown, publishing, shown
from exporter.web.site import Site

PATH = "/api/v2/publishing/metrics"


class CollectorShown(msgspec.Struct, frozen=True, kw_only=True):
    """How the last run of a collector ended."""

    name: str
    outcome: str
    reason: str | None
    detail: str | None
    duration_ms: float | None
    last_success: datetime | None


class ReplicaShown(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a watched service, and why it could not be asked if it could not."""

    replica: str
    up: bool
    reason: str | None
    detail: str | None
    samples: int | None
    duration_ms: float
    last_success: datetime | None


class UpstreamShown(msgspec.Struct, frozen=True, kw_only=True):
    """A watched service. What it does not export is absent from the series and told here; it is never 0."""

    upstream: str
    dialect: str
    replicas: tuple[ReplicaShown, ...]
    absent_families: tuple[str, ...]


class MetricsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`available_collectors` are those that are switched on; each is in one of the four lists after it.

    `errors` says why, by the name of the collector.
    """

    timestamp: datetime | None
    collection_duration_ms: float | None
    metrics_count: int
    metrics: tuple[SampleShown, ...]
    available_collectors: tuple[str, ...]
    succeeded_collectors: tuple[str, ...]
    failed_collectors: tuple[str, ...]
    timed_out_collectors: tuple[str, ...]
    skipped_collectors: tuple[str, ...]
    errors: dict[str, str]
    collectors: tuple[CollectorShown, ...]
    upstreams: tuple[UpstreamShown, ...]
    snapshot_id: int
    age_seconds: float


def routes(site: Site) -> list[Route]:
    readings = _Readings(site)
    return [
        Route(
            path=PATH,
            name="publishingMetrics",
            summary="Every sample of the publishing families, and how each collector did.",
            handler=readings.serve,
            answers={
                200: Answer("the samples", (JSON,), MetricsAnswer),
                304: UNCHANGED,
                503: Answer(NOT_YET.description, (JSON,), ErrorAnswer),
            },
        )
    ]


class _Readings:
    def __init__(self, site: Site) -> None:
        self._contents = Contents(site)

    async def serve(self, request: web.BaseRequest) -> web.Response:
        return await self._contents.answer_aside(request, None, _readings)


def _readings(snapshot: Snapshot) -> MetricsAnswer:
    samples = tuple([sample for column in publishing(snapshot) for sample in shown(column)])
    records = snapshot.records.values()
    skipped = (Outcome.BACKOFF, Outcome.DISABLED)
    failed = [record for record in records if not record.outcome.up and record.outcome is not Outcome.DISABLED]
    return MetricsAnswer(
        timestamp=instant(snapshot.wall),
        collection_duration_ms=milliseconds(snapshot.duration),
        metrics_count=len(samples),
        metrics=samples,
        available_collectors=tuple(one.collector for one in records if one.outcome is not Outcome.DISABLED),
        succeeded_collectors=tuple(one.collector for one in records if one.outcome.up),
        failed_collectors=tuple(one.collector for one in records if one.outcome is Outcome.ERROR),
        timed_out_collectors=tuple(one.collector for one in records if one.outcome is Outcome.TIMEOUT),
        skipped_collectors=tuple(one.collector for one in records if one.outcome in skipped),
        errors={record.collector: why(record) for record in failed},
        collectors=tuple(map(_collector, records)),
        upstreams=tuple(map(_upstream, World.of(snapshot.details).upstreams)),
        **UNSTAMPED,
    )


def why(record: Record) -> str:
    """Why a collector has not done what it should, in words of our own."""
    return ": ".join(part for part in (record.reason or record.outcome, record.detail) if part)


def _collector(record: Record) -> CollectorShown:
    return CollectorShown(
        name=record.collector,
        outcome=record.outcome,
        reason=record.reason,
        detail=record.detail or None,
        duration_ms=milliseconds(record.duration),
        last_success=instant(record.last_success),
    )


def _upstream(upstream: UpstreamState) -> UpstreamShown:
    return UpstreamShown(
        upstream=upstream.upstream,
        dialect=upstream.dialect,
        replicas=tuple(map(_replica, upstream.replicas)),
        absent_families=upstream.absent,
    )


def _replica(replica: ReplicaState) -> ReplicaShown:
    return ReplicaShown(
        replica=replica.replica,
        up=replica.up,
        reason=replica.reason,
        detail=replica.detail or None,
        samples=replica.samples,
        duration_ms=milliseconds(replica.duration) or 0.0,
        last_success=instant(replica.last_success),
    )
