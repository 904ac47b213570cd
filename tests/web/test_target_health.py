from __future__ import annotations

import json
from typing import Any

import pytest
from yarl import URL

from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.verdict import HealthState
from tests.web.conftest import WALL, Running, serving, snapshot, target, trouble

HEALTH = "/api/v2/publishing/targets/health"
FAILING = target(
    "team/webhook/0",
    HealthState.UNHEALTHY,
    shown="https://ops.example.org:8443",
    origin="alertmanager",
    latency=0.0342,
    last_reason=Reason.HTTP_STATUS,
    last_status=503,
    consecutive_failures=4,
    checks=10,
    successes=6,
    failures=4,
    success_rate=60.0,
    last_success=WALL - 300.0,
    last_failure=WALL - 12.0,
    retry_at=4e9 * 1e9,
    tls_expiry=WALL + 86400.0,
)
STATUS = {
    "target_name": "team/webhook/0",
    "target_type": "webhook",
    "enabled": True,
    "url": "https://ops.example.org:8443",
    "origin": "alertmanager",
    "status": "unhealthy",
    "latency_ms": 34.2,
    "reason": "http_status",
    "status_code": 503,
    "error_message": "http_status 503",
    "last_check": "2026-05-28T20:26:28Z",
    "last_success": "2026-05-28T20:21:40Z",
    "last_failure": "2026-05-28T20:26:28Z",
    "consecutive_failures": 4,
    "total_checks": 10,
    "total_successes": 6,
    "total_failures": 4,
    "success_rate": 60.0,
    "retry_at": "9999-12-31T23:59:59Z",
    "tls_expires_at": "2026-05-29T20:26:40Z",
}


def of(*targets: TargetHealth) -> Any:
    return snapshot(5, details={"health": HealthDetail(targets)})


async def answer(site: Running, path: str = "") -> Any:
    async with site.client.get(URL(site.url(HEALTH + path), encoded=True)) as got:
        assert got.status == 200
        return await got.json()


async def test_everything_that_is_known_of_a_target_is_told(site: Running) -> None:
    site.feed.publish(of(FAILING))
    stamp = {"snapshot_id": 5, "age_seconds": 4.0}
    assert await answer(site) == {"targets": [STATUS], "total": 1, "offset": 0, "limit": None, **stamp}
    assert await answer(site, "/team%2Fwebhook%2F0") == STATUS | stamp
    assert await answer(site, "/team/webhook/0") == STATUS | stamp


async def test_what_is_not_known_is_null(site: Running) -> None:
    site.feed.publish(of(target("new", HealthState.UNKNOWN, last_probe=None, latency=None, success_rate=None)))
    new = await answer(site, "/new")
    unknown = {key for key, value in new.items() if value is None}
    assert unknown == {
        "latency_ms", "reason", "status_code", "error_message", "last_check", "last_success", "last_failure",
        "success_rate", "retry_at", "tls_expires_at",
    }  # fmt: skip
    assert (new["status"], new["total_checks"]) == ("unknown", 0)


async def test_why_a_target_is_not_well_is_said_in_words(site: Running) -> None:
    slow = target("slow", HealthState.DEGRADED)
    hung = target("hung", HealthState.UNHEALTHY, last_reason=Reason.TIMEOUT)
    site.feed.publish(of(slow, hung, target("fine")))
    told = {one["target_name"]: one["error_message"] for one in (await answer(site))["targets"]}
    assert told == {"slow": "answers slowly", "hung": "timeout", "fine": None}


async def test_targets_are_counted_by_state(site: Running) -> None:
    site.feed.publish(trouble(3))
    assert await answer(site, "/stats") == {
        "total_targets": 7,
        "healthy_count": 2,
        "degraded_count": 1,
        "unhealthy_count": 2,
        "unknown_count": 1,
        "disabled_count": 1,
        "last_check_time": "2026-05-28T20:26:28Z",
        "overall_success_rate": pytest.approx((100.0 + 41.7 + 96.2 + 99.8 + 0.0) / 5),
        "snapshot_id": 3,
        "age_seconds": 4.0,
    }


async def test_targets_in_one_state_can_be_asked_for(site: Running) -> None:
    site.feed.publish(trouble())
    listed = await answer(site, "?status=unhealthy&limit=1")
    assert ([one["target_name"] for one in listed["targets"]], listed["total"]) == (["on-call"], 2)
    status, body = await site.get(f"{HEALTH}?status=ill")
    assert (status, json.loads(body)["error"]["message"]) == (
        400,
        "status is one of unknown, healthy, degraded, unhealthy",
    )


async def test_without_targets_the_list_is_empty_and_no_rate_is_made_up(site: Running) -> None:
    record = Record("health", Outcome.NODATA, None, "", WALL, 0.1, WALL)
    site.feed.publish(snapshot(1, records={"health": record}, details={}))
    assert (await answer(site))["targets"] == []
    stats = await answer(site, "/stats")
    assert (stats["total_targets"], stats["last_check_time"], stats["overall_success_rate"]) == (0, None, None)


@pytest.mark.parametrize("path", ["", "/stats", "/ops"])
async def test_what_is_not_known_yet_is_said_so(site: Running, path: str) -> None:
    assert (await site.get(HEALTH + path))[0] == 503
    site.feed.publish(snapshot(1, details={}, records={}))
    status, body = await site.get(HEALTH + path)
    assert (status, json.loads(body)["error"]["code"]) == (503, "not_known")


async def test_a_target_that_is_not_there_is_not_found(site: Running) -> None:
    site.feed.publish(of(FAILING))
    status, body = await site.get(f"{HEALTH}/nobody")
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_target")


async def check(site: Running, name: str, **more: Any) -> tuple[int, Any]:
    async with site.client.post(URL(site.url(f"{HEALTH}/{name}/check"), encoded=True), **more) as got:
        return got.status, await got.json()


async def test_a_check_tells_how_the_target_is_now() -> None:
    async with serving(checked=[FAILING], enable_lifecycle=True) as site:
        assert await check(site, "team%2Fwebhook%2F0") == (200, STATUS)
        status, body = await check(site, "nobody")
        assert (status, body["error"]["code"]) == (404, "unknown_target")
        assert site.checks == ["team/webhook/0", "nobody"]


async def test_a_check_is_asked_for_by_those_only_who_may() -> None:
    async with serving(checked=[FAILING]) as site:
        assert (await check(site, "team%2Fwebhook%2F0"))[1]["error"]["code"] == "lifecycle_disabled"
        assert site.checks == []
    async with serving(checked=[FAILING], enable_lifecycle=True) as site:
        refused = await check(site, "team%2Fwebhook%2F0", headers={"Sec-Fetch-Site": "cross-site"})
        assert (refused[0], refused[1]["error"]["code"]) == (403, "other_site")
        assert (await check(site, "team%2Fwebhook%2F0", data=b"{}"))[0] == 400
        assert site.checks == []
