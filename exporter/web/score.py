"""How well alerts get out: the score, what it is made of, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

import msgspec
from aiohttp import web

from exporter.model.reason import Outcome
from exporter.model.snapshot import Snapshot
from exporter.publishing.score import ScoreState
from exporter.publishing.signals import Signal
from exporter.publishing.statistics import ScoreDetail, TargetStanding
from exporter.publishing.verdict import HealthState
from exporter.web.answers import JSON
from exporter.web.contents import UNCHANGED, UNSTAMPED, Contents, Told, detail, instant
from exporter.web.readings import why
from exporter.web.route import Answer, Route
from exporter.web.site import Site

PATH = "/api/v2/publishing/health"
_NAMED = 3


class ComponentShown(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the score. One without data has no value and no weight; the others have its share."""

    value: float | None
    weight: float
    basis: str | None


class ComponentsShown(msgspec.Struct, frozen=True, kw_only=True):
    success: ComponentShown
    availability: ComponentShown
    performance: ComponentShown
    queue: ComponentShown


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`checks` has one line per collector and about targets: ok, or what is wrong with it."""

    status: str
    score: float | None
    components: ComponentsShown
    missing_components: tuple[str, ...]
    checks: dict[str, str]
    message: str | None
    timestamp: datetime | None
    snapshot_id: int
    age_seconds: float


def routes(site: Site) -> list[Route]:
    health = _Health(site)
    return [
        Route(
            path=PATH,
            name="publishingHealth",
            summary="How well alerts get out, as a score. No probe for this process: see /-/healthy and /-/ready.",
            handler=health.serve,
            answers={
                200: Answer("healthy, degraded, or unknown", (JSON,), HealthAnswer),
                304: UNCHANGED,
                503: Answer("unhealthy; or an error, if it is not known yet", (JSON,), HealthAnswer),
            },
        )
    ]


class _Health:
    def __init__(self, site: Site) -> None:
        self._tolds = Contents(site)

    async def serve(self, request: web.BaseRequest) -> web.Response:
        return self._tolds.answer(request, None, _told)


def _told(snapshot: Snapshot) -> Told:
    standing = detail(snapshot, "score", ScoreDetail)
    unhealthy = standing.score.status is ScoreState.UNHEALTHY
    status = HTTPStatus.SERVICE_UNAVAILABLE if unhealthy else HTTPStatus.OK
    return Told(_health(snapshot, standing), status)


def _health(snapshot: Snapshot, standing: ScoreDetail) -> HealthAnswer:
    score = standing.score
    checks = _checks(snapshot, standing)
    wrong = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
    return HealthAnswer(
        status=score.status,
        score=score.score,
        components=ComponentsShown(
            **{
                name: ComponentShown(value=part.value, weight=part.weight, basis=part.basis)
                for name, part in score.components.items()
            }
        ),
        missing_components=score.missing,
        checks=checks,
        message="; ".join(wrong) or None,
        timestamp=instant(snapshot.wall),
        **UNSTAMPED,
    )


def _checks(snapshot: Snapshot, standing: ScoreDetail) -> dict[str, str]:
    checks = {
        record.collector: "ok" if record.outcome.up and record.reason is None else f"error: {why(record)}"
        for record in snapshot.records.values()
        if record.outcome is not Outcome.DISABLED
    }
    targets = list(standing.targets.values())
    enabled = [target for target in targets if target.enabled]
    unhealthy = [target for target in enabled if target.state is HealthState.UNHEALTHY]
    failing = [target for target in targets if target.signals.get(Signal.PUBLISH) is False]
    checks["unhealthy_targets"] = _said(unhealthy, len(enabled))
    checks["failing_publishes"] = _said(failing, len(targets))
    return checks


def _said(wrong: Sequence[TargetStanding], of: int) -> str:
    """`critical` if it is more than half of them."""
    if not wrong:
        return "ok"
    names = ", ".join(target.name for target in wrong[:_NAMED])
    more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return f"{'critical' if 2 * len(wrong) > of else 'warning'}: {len(wrong)} of {of}: {names}{more}"
