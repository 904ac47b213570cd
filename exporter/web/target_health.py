"""How the targets are, and probing one of them now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from exporter.model.reason import Outcome
from exporter.model.snapshot import Snapshot
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.verdict import HealthState
from exporter.web import answers, guard
from exporter.web.answers import JSON, Refused
from exporter.web.contents import NOT_YET, UNCHANGED, UNSTAMPED, Contents, detail, instant, milliseconds
from exporter.web.route import Answer, Parameter, Route, path_value
from exporter.web.selection import PARAMETERS, Selection, one
from exporter.web.site import Site
from exporter.web.targets import BAD_PARAMETER, NO_SUCH_TARGET
from exporter.web.targets import PATH as TARGETS

PATH = f"{TARGETS}/health"


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one target is. Counts are since it was found, the rate is percent of the window."""

    target_name: str
    target_type: str
    enabled: bool
    url: str
    origin: str
    status: str
    latency_ms: float | None
    reason: str | None
    status_code: int | None
    error_message: str | None
    last_check: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    consecutive_failures: int
    total_checks: int
    total_successes: int
    total_failures: int
    success_rate: float | None
    retry_at: datetime | None
    tls_expires_at: datetime | None


class TargetStatusAnswer(TargetStatus, frozen=True, kw_only=True):
    snapshot_id: int
    age_seconds: float


class TargetStatusesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`total` counts all that fit, also those before and behind this part of them."""

    targets: tuple[TargetStatus, ...]
    total: int
    offset: int
    limit: int | None
    snapshot_id: int
    age_seconds: float


class TargetStatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many targets are how; one that is disabled counts as that only. The rate is the mean of the targets'."""

    total_targets: int
    healthy_count: int
    degraded_count: int
    unhealthy_count: int
    unknown_count: int
    disabled_count: int
    last_check_time: datetime | None
    overall_success_rate: float | None
    snapshot_id: int
    age_seconds: float


def routes(site: Site) -> list[Route]:
    health = _TargetHealth(site)
    return [
        Route(
            path=PATH,
            name="targetsHealth",
            summary="How every target is.",
            handler=health.all,
            parameters=(*PARAMETERS, Parameter("status", f"only those that are {', '.join(HealthState)}")),
            answers={
                200: Answer("the targets", (JSON,), TargetStatusesAnswer),
                304: UNCHANGED,
                400: BAD_PARAMETER,
                503: NOT_YET,
            },
        ),
        Route(
            path=f"{PATH}/stats",
            name="targetsHealthStats",
            summary="How many targets are how.",
            handler=health.stats,
            answers={200: Answer("the counts", (JSON,), TargetStatsAnswer), 304: UNCHANGED, 503: NOT_YET},
        ),
        Route(
            path=f"{PATH}/{{name}}",
            name="targetHealth",
            summary="How one target is.",
            handler=health.one,
            answers={
                200: Answer("the target", (JSON,), TargetStatusAnswer),
                304: UNCHANGED,
                404: NO_SUCH_TARGET,
                503: NOT_YET,
            },
        ),
        Route(
            path=f"{PATH}/{{name}}/check",
            name="checkTarget",
            method="POST",
            summary="Probes one target now, or waits for the probe that is under way.",
            handler=health.check,
            answers={
                200: Answer("how it is", (JSON,), TargetStatus),
                403: guard.FORBIDDEN,
                404: NO_SUCH_TARGET,
            },
        ),
    ]


class _TargetHealth:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists, self._single, self._stats = Contents(site), Contents(site), Contents(site)

    async def all(self, request: web.BaseRequest) -> web.Response:
        selection, status = Selection.of(request), one(request, "status", list(HealthState))
        return self._lists.answer(
            request, (selection, status), lambda snapshot: _statuses(_targets(snapshot), selection, status)
        )

    async def stats(self, request: web.BaseRequest) -> web.Response:
        return self._stats.answer(request, None, lambda snapshot: _counts(_targets(snapshot)))

    async def one(self, request: web.BaseRequest) -> web.Response:
        name = path_value(request, "name")
        return self._single.answer(request, name, lambda snapshot: _one(_targets(snapshot), name))

    async def check(self, request: web.BaseRequest) -> web.Response:
        guard.allow(request, self._site)
        target = await self._site.check(path_value(request, "name"))
        if target is None:
            raise Refused(HTTPStatus.NOT_FOUND, "unknown_target", "no target of this name is being probed")
        return answers.json(_status(target))


def _targets(snapshot: Snapshot) -> Sequence[TargetHealth]:
    record = snapshot.records.get("health")
    if record is not None and record.outcome is Outcome.NODATA:
        return ()
    return detail(snapshot, "health", HealthDetail).targets


def _statuses(targets: Sequence[TargetHealth], selection: Selection, status: str | None) -> TargetStatusesAnswer:
    fitting = [target for target in selection.of_all(targets) if status in (None, target.state)]
    return TargetStatusesAnswer(
        targets=tuple(map(_status, selection.page(fitting))),
        total=len(fitting),
        offset=selection.offset,
        limit=selection.limit,
        **UNSTAMPED,
    )


def _one(targets: Sequence[TargetHealth], name: str) -> TargetStatusAnswer:
    for target in targets:
        if target.name == name:
            return TargetStatusAnswer(**asdict(_status(target)), **UNSTAMPED)
    raise Refused(HTTPStatus.NOT_FOUND, "unknown_target", "there is no target of this name")


def _status(target: TargetHealth) -> TargetStatus:
    return TargetStatus(
        target_name=target.name,
        target_type=target.type,
        enabled=target.enabled,
        url=target.shown,
        origin=target.origin,
        status=target.state,
        latency_ms=milliseconds(target.latency),
        reason=target.last_reason,
        status_code=target.last_status,
        error_message=_message(target),
        last_check=instant(target.last_probe),
        last_success=instant(target.last_success),
        last_failure=instant(target.last_failure),
        consecutive_failures=target.consecutive_failures,
        total_checks=target.checks,
        total_successes=target.successes,
        total_failures=target.failures,
        success_rate=target.success_rate,
        retry_at=instant(target.retry_at),
        tls_expires_at=instant(target.tls_expiry),
    )


def _message(target: TargetHealth) -> str | None:
    if target.last_reason is None:
        return "answers slowly" if target.state is HealthState.DEGRADED else None
    return f"{target.last_reason} {target.last_status}" if target.last_status else str(target.last_reason)


def _counts(targets: Sequence[TargetHealth]) -> TargetStatsAnswer:
    enabled = [target for target in targets if target.enabled]
    states = Counter(target.state for target in enabled)
    rates = [target.success_rate for target in enabled if target.success_rate is not None]
    probed = [target.last_probe for target in enabled if target.last_probe is not None]
    return TargetStatsAnswer(
        total_targets=len(targets),
        healthy_count=states[HealthState.HEALTHY],
        degraded_count=states[HealthState.DEGRADED],
        unhealthy_count=states[HealthState.UNHEALTHY],
        unknown_count=states[HealthState.UNKNOWN],
        disabled_count=len(targets) - len(enabled),
        last_check_time=instant(max(probed, default=None)),
        overall_success_rate=sum(rates) / len(rates) if rates else None,
        **UNSTAMPED,
    )
