from __future__ import annotations

import json

import pytest

from exporter.model.problem import Problem, Reloaded
from tests.web.conftest import Running, serving, snapshot


async def test_healthy_as_long_as_the_daemon_lives(site: Running) -> None:
    assert await site.get("/-/healthy") == (200, "healthy\n")


async def test_not_healthy_when_loop_or_cycle_stand_still() -> None:
    async with serving(alive=lambda: False) as site:
        status, body = await site.get("/-/healthy")
    assert status == 503
    assert json.loads(body)["error"]["code"] == "not_healthy"


async def test_ready_from_the_first_snapshot_until_it_is_too_old(site: Running) -> None:
    status, body = await site.get("/-/ready")
    assert (status, json.loads(body)["error"]["message"]) == (503, "no cycle has ended yet")
    site.feed.publish(snapshot())
    assert await site.get("/-/ready") == (200, "ready\n")
    site.clock.passed = 41.0
    status, body = await site.get("/-/ready")
    assert (status, json.loads(body)["error"]["message"]) == (503, "no cycle has ended for 45 s")


async def post(site: Running, path: str = "/-/reload", **more: object) -> tuple[int, dict[str, object]]:
    async with site.client.post(site.url(path), **more) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.json()


async def test_reload_is_off_unless_it_was_switched_on(site: Running) -> None:
    status, body = await post(site)
    assert status == 403
    assert "--web.enable-lifecycle" in str(body)
    assert site.reloads == []


async def test_a_reload_tells_what_changed() -> None:
    async with serving(Reloaded(changes=("targets: + ops",)), enable_lifecycle=True) as site:
        assert await post(site) == (200, {"changes": ["targets: + ops"], "applied": True})
        assert await post(site, "/-/reload?dry_run=1") == (200, {"changes": ["targets: + ops"], "applied": False})
        assert await post(site, "/-/reload?dry_run=0") == (200, {"changes": ["targets: + ops"], "applied": True})
        assert site.reloads == [False, True, False]


async def test_a_dry_run_is_asked_for_clearly() -> None:
    async with serving(enable_lifecycle=True) as site:
        status, _ = await post(site, "/-/reload?dry_run=maybe")
        assert (status, site.reloads) == (400, [])


async def test_a_configuration_with_mistakes_changes_nothing_and_lists_them() -> None:
    mistake = Problem("unknown key", "cycle.intervall", "/etc/p.yaml", 3, 5)
    async with serving(Reloaded(problems=(mistake,)), enable_lifecycle=True) as site:
        status, body = await post(site)
    assert status == 400
    error = body["error"]
    assert isinstance(error, dict)
    assert error["problems"] == [
        {"file": "/etc/p.yaml", "line": 3, "column": 5, "path": "cycle.intervall", "message": "unknown key"}
    ]
    assert error["request_id"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_cannot_reload(headers: dict[str, str]) -> None:
    async with serving(enable_lifecycle=True) as site:
        status, body = await post(site, headers=headers)
        assert (status, site.reloads) == (403, [])
        assert "other_site" in str(body)


async def test_a_page_of_this_site_can_reload() -> None:
    async with serving(enable_lifecycle=True, external_url="https://exporter.example.org/") as site:
        for origin in (f"http://{site.address}", "https://exporter.example.org"):
            status, _ = await post(site, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
            assert status == 200


async def test_a_reload_takes_no_body() -> None:
    async with serving(enable_lifecycle=True) as site:
        status, body = await post(site, data=b"x")
        assert (status, site.reloads) == (400, [])
        assert "body_not_allowed" in str(body)
