"""Is it getting worse: the last hour against the day before it, as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from exporter.model.snapshot import Snapshot
from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.trends import LEAST_BASELINE, LEAST_RECENT, Direction, ErrorTrend, Trends
from exporter.web.answers import JSON, ErrorAnswer
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, detail, instant, milliseconds
from exporter.web.route import Answer, Route
from exporter.web.site import Site

PATH = "/api/v2/publishing/trends"


class ErrorTrendShown(msgspec.Struct, frozen=True, kw_only=True):
    """Rates and changes in percent. `error_rate_latest` is that of the last five to ten minutes.

    No spike and no absence of one is detected with too little data: null.
    """

    success_rate_trend: str
    success_rate_change: float | None
    error_spike_detected: bool | None
    error_rate_baseline: float | None
    error_rate_current: float | None
    error_rate_latest: float | None
    baseline_samples: int
    recent_samples: int


class TrendsShown(ErrorTrendShown, frozen=True, kw_only=True):
    """Latencies in milliseconds, the growth of the queue in jobs per minute."""

    latency_trend: str
    latency_change: float | None
    latency_baseline: float | None
    latency_current: float | None
    queue_growth_trend: str
    queue_growth_rate: float | None
    queue_size_baseline: float | None
    queue_size_current: float | None
    timestamp: datetime | None


class TargetTrend(ErrorTrendShown, frozen=True, kw_only=True):
    target_name: str


class TrendsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Samples are intervals of five minutes that were watched; with fewer than needed there is no judgement."""

    timestamp: datetime | None
    trends: TrendsShown
    targets: tuple[TargetTrend, ...]
    baseline_samples_needed: int
    recent_samples_needed: int
    summary: str
    snapshot_id: int
    age_seconds: float


def routes(site: Site) -> list[Route]:
    trends = _Trends(site)
    return [
        Route(
            path=PATH,
            name="trends",
            summary="Whether it is getting worse: the last hour against the day before it.",
            handler=trends.serve,
            answers={
                200: Answer("the trends", (JSON,), TrendsAnswer),
                304: UNCHANGED,
                503: Answer(NOT_YET.description, (JSON,), ErrorAnswer),
            },
        )
    ]


class _Trends:
    def __init__(self, site: Site) -> None:
        self._contents = Contents(site)

    async def serve(self, request: web.BaseRequest) -> web.Response:
        return await self._contents.answer_aside(request, None, _answer)


def _answer(snapshot: Snapshot) -> TrendsAnswer:
    trends = detail(snapshot, "score", ScoreDetail).trends
    return TrendsAnswer(
        timestamp=instant(snapshot.wall),
        trends=_shown(trends),
        targets=tuple(
            TargetTrend(target_name=name, **msgspec.structs.asdict(error_trend(found)))
            for name, found in sorted(trends.targets.items())
        ),
        baseline_samples_needed=LEAST_BASELINE,
        recent_samples_needed=LEAST_RECENT,
        summary=summary(trends),
        **UNSTAMPED,
    )


def error_trend(found: ErrorTrend) -> ErrorTrendShown:
    return ErrorTrendShown(
        success_rate_trend=found.success_trend,
        success_rate_change=_percent(found.success_change),
        error_spike_detected=found.spike,
        error_rate_baseline=_percent(found.baseline),
        error_rate_current=_percent(found.current),
        error_rate_latest=_percent(found.latest),
        baseline_samples=found.baseline_samples,
        recent_samples=found.recent_samples,
    )


def _shown(trends: Trends) -> TrendsShown:
    latency, queue = trends.latency, trends.queue
    return TrendsShown(
        **msgspec.structs.asdict(error_trend(trends.errors)),
        latency_trend=latency.trend,
        latency_change=milliseconds(latency.change),
        latency_baseline=milliseconds(latency.baseline),
        latency_current=milliseconds(latency.current),
        queue_growth_trend=queue.trend,
        queue_growth_rate=queue.change,
        queue_size_baseline=queue.baseline,
        queue_size_current=queue.current,
        timestamp=instant(trends.at),
    )


def _percent(rate: float | None) -> float | None:
    return None if rate is None else 100.0 * rate


def summary(trends: Trends) -> str:
    """The trends in a sentence or two."""
    if trends.at is None:
        return "There is no history to compare with."
    said = [_about_errors(trends.errors)]
    for what, change in (("Latency", trends.latency), ("The queue", trends.queue)):
        if change.trend is not Direction.INSUFFICIENT:
            said.append(f"{what} is {change.trend}.")
    spikes = [name for name, found in sorted(trends.targets.items()) if found.spike]
    if spikes:
        shown = ", ".join(spikes[:3]) + (f" and {len(spikes) - 3} more" if len(spikes) > 3 else "")
        said.append(f"Failing more than usual: {shown}.")
    return " ".join(said)


def _about_errors(errors: ErrorTrend) -> str:
    if errors.spike is None:
        return "There is too little data to tell whether more fails than usual."
    if errors.current is None:
        return "Nothing was delivered in the last hour."
    rates = f"{100 * errors.current:.1f} % of the deliveries of the last hour failed"
    usual = "" if errors.baseline is None else f", {100 * errors.baseline:.1f} % in the day before"
    return f"{'A spike of errors' if errors.spike else 'No spike of errors'}: {rates}{usual}."
