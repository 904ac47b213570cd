"""The score over real sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record
from exporter.publishing.score import Basis, score
from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.verdict import HealthState
from tests.web.conftest import WALL, Running
from tests.web.standings import detail, standing

HEALTH = "/api/v2/publishing/health"


async def asked(site: Running, status: int = 200) -> Any:
    async with site.client.get(site.url(HEALTH)) as answer:
        assert answer.status == status
        return await answer.json()


def scored(number: float) -> ScoreDetail:
    return replace(detail(), score=score({"success": (number, Basis.WINDOW)}))


async def test_the_score_is_told_with_what_it_is_made_of(site: Running) -> None:
    site.feed.publish(standing(5))
    found = await asked(site)
    assert found["status"] == "degraded"
    assert found["score"] == pytest.approx(0.4 * 100 * 91 / 101 + 0.3 * 200 / 3 + 0.2 * 76.25 + 0.1 * 84)
    assert found["components"]["queue"] == {"value": 84.0, "weight": 0.1, "basis": "now"}
    assert found["components"]["success"]["basis"] == "lifetime"
    assert found["missing_components"] == []
    assert (found["snapshot_id"], found["age_seconds"]) == (5, 4.0)


async def test_every_check_is_told_and_what_is_wrong_in_one_message(site: Running) -> None:
    usual = standing()
    late = Record("refresh", Outcome.TIMEOUT, Reason.TIMEOUT, "", WALL - 14.0, 10.0, None)
    off = Record("usage", Outcome.DISABLED)
    site.feed.publish(replace(usual, records={**usual.records, "refresh": late, "usage": off}))
    found = await asked(site)
    assert found["checks"] == {
        "health": "ok",
        "queue": "ok",
        "publishers": "error: connect: history b:1: refused",
        "score": "ok",
        "refresh": "error: timeout",
        "unhealthy_targets": "warning: 1 of 3: on-call",
        "failing_publishes": "warning: 1 of 4: on-call",
    }
    assert "refresh: error: timeout; unhealthy_targets: warning: 1 of 3: on-call" in found["message"]


async def test_more_than_half_is_critical_and_only_some_are_named(site: Running) -> None:
    site.feed.publish(standing(score=detail(ops=HealthState.UNHEALTHY)))
    assert (await asked(site, 503))["checks"]["unhealthy_targets"] == "critical: 2 of 3: ops-slack, on-call"
    many = detail()
    unhealthy = {f"t{n}": replace(many.targets["on-call"], name=f"t{n}") for n in range(5)}
    site.feed.publish(standing(2, score=replace(many, targets=unhealthy)))
    assert (await asked(site))["checks"]["unhealthy_targets"] == "critical: 5 of 5: t0, t1, t2 and 2 more"


@pytest.mark.parametrize(
    ("number", "status", "code"), [(95, "healthy", 200), (80, "degraded", 200), (60, "unhealthy", 503)]
)
async def test_W_A2_only_what_is_unhealthy_is_no_success(site: Running, number: float, status: str, code: int) -> None:
    """A third party in trouble must not have this process restarted: its own probes are elsewhere."""
    site.feed.publish(standing(score=scored(number)))
    found = await asked(site, code)
    assert (found["status"], found["score"]) == (status, number)
    assert (await site.get("/-/healthy"))[0] == 200
    assert (await site.get("/-/ready"))[0] == 200


async def test_what_is_unhealthy_is_never_not_modified(site: Running) -> None:
    """A probe that asks with an ETag sees the trouble as well."""
    for number, code in ((95.0, 304), (60.0, 503)):
        site.feed.publish(standing(score=scored(number)))
        async with site.client.get(site.url(HEALTH)) as first:
            tag = first.headers["ETag"]
        async with site.client.get(site.url(HEALTH), headers={"If-None-Match": tag}) as again:
            assert again.status == code


async def test_nothing_known_is_no_failure_and_no_success(site: Running) -> None:
    site.feed.publish(standing(score=ScoreDetail()))
    found = await asked(site)
    assert (found["status"], found["score"]) == ("unknown", None)
    assert found["missing_components"] == ["success", "availability", "performance", "queue"]
    assert all(part == {"value": None, "weight": 0.0, "basis": None} for part in found["components"].values())
