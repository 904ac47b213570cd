from __future__ import annotations

import json
from typing import Any

import pytest
from yarl import URL

from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.refresh import Asked, DiscoveryDetail, TargetPicture
from tests.web.conftest import BROKEN, WALL, Running, found, picture, serving, snapshot

TARGETS = "/api/v2/publishing/targets"
CANARY = "c4n4ry"


async def answer(site: Running, path: str) -> Any:
    status, body = await site.get(TARGETS + path)
    assert status == 200, body
    return json.loads(body)


async def test_each_target_is_told_with_its_place_and_without_its_secrets(site: Running) -> None:
    target = Target(
        name="team/slack/0",
        type="slack",
        format="alertmanager",
        url=Secret(f"https://hooks.slack.com/services/{CANARY}?token={CANARY}"),
        headers={"X-Api-Key": Secret(CANARY)},
        filter_config={"severity": CANARY},
        origin="alertmanager",
        source="alertmanager.yml",
    )
    site.feed.publish(found(7, TargetPicture.of(target), picture("ops", enabled=False)))
    answered = await answer(site, "")
    assert CANARY not in json.dumps(answered)
    first = {
        "name": "team/slack/0",
        "type": "slack",
        "format": "alertmanager",
        "enabled": True,
        "url": "https://hooks.slack.com",
        "headers": ["X-Api-Key"],
        "origin": "alertmanager",
        "source": "alertmanager.yml",
    }
    assert answered["targets"][0] == first
    assert [one["name"] for one in answered["targets"]] == ["team/slack/0", "ops"]
    rest = {key: value for key, value in answered.items() if key != "targets"}
    stamp = {"snapshot_id": 7, "age_seconds": 4.0}
    assert rest == {"total": 2, "offset": 0, "limit": None, **stamp}
    for path in ("/team%2Fslack%2F0", "/team/slack/0"):
        async with site.client.get(URL(site.url(TARGETS + path), encoded=True)) as one:
            assert await one.json() == {**first, **stamp}


async def test_no_targets_are_an_empty_list(site: Running) -> None:
    site.feed.publish(found(1))
    assert (await answer(site, ""))["targets"] == []


async def test_a_target_that_is_not_there_is_not_found(site: Running) -> None:
    site.feed.publish(found(1, picture("ops")))
    for path in ("/nobody", "/OPS", "/ops%20", "/ops%00", "/ops/", "/%2e%2e/metrics", "/op"):
        async with site.client.get(URL(site.url(TARGETS + path), encoded=True)) as nothing:
            assert nothing.status == 404, path
            assert (await nothing.json())["error"]["code"] == "unknown_target"


@pytest.mark.parametrize("path", ["", "/ops", "/status"])
async def test_what_is_not_known_yet_is_said_so(site: Running, path: str) -> None:
    status, body = await site.get(TARGETS + path)
    assert (status, json.loads(body)["error"]["code"]) == (503, "not_ready")
    site.feed.publish(snapshot())
    status, body = await site.get(TARGETS + path)
    assert (status, json.loads(body)["error"]["code"]) == (503, "not_known")


async def test_the_state_of_refreshes_names_every_source_and_every_invalid_document(site: Running) -> None:
    site.feed.publish(found(3, picture("a"), picture("b"), **BROKEN))
    assert await answer(site, "/status") == {
        "status": "failed",
        "last_refresh": "2026-05-28T20:24:59.800000Z",
        "last_success": "2026-05-28T20:25:00Z",
        "next_refresh": "2026-05-28T20:30:00Z",
        "refresh_duration_ms": 200.0,
        "targets_discovered": 4,
        "targets_valid": 2,
        "targets_invalid": 2,
        "consecutive_failures": 3,
        "reason": "connect",
        "error": "the API server cannot be reached",
        "sources": [
            {
                "name": "static",
                "origin": "static",
                "targets": 2,
                "invalid": 0,
                "skipped": 0,
                "last_success": "2026-05-28T20:25:00Z",
                "reason": None,
                "error": None,
            },
            {
                "name": "kubernetes",
                "origin": "kubernetes",
                "targets": 0,
                "invalid": 2,
                "skipped": 1,
                "last_success": "2026-05-28T20:25:00Z",
                "reason": "connect",
                "error": "the API server cannot be reached",
            },
        ],
        "invalid": [
            {
                "origin": "kubernetes",
                "document": "alerts/ops-rootly",
                "reason": "field",
                "detail": "url: the url names no host",
            },
            {"origin": "kubernetes", "document": "alerts/audit", "reason": "duplicate", "detail": ""},
        ],
        "snapshot_id": 3,
        "age_seconds": 4.0,
    }


async def post(site: Running, path: str = "/refresh", **more: Any) -> tuple[int, dict[str, Any], str | None]:
    async with site.client.post(site.url(TARGETS + path), **more) as done:
        return done.status, await done.json(), done.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("asked", "status", "code", "again"),
    [
        (Asked("accepted", WALL), 202, None, None),
        (Asked("limited", WALL, 41.2), 429, "rate_limit_exceeded", 42),
        (Asked("limited", WALL, 0.01), 429, "rate_limit_exceeded", 1),
        (Asked("running", WALL), 503, "refresh_in_progress", None),
        (Asked("running", WALL, 3.0), 503, "refresh_in_progress", 3),
        (Asked("stopped", WALL), 503, "refresh_stopped", None),
    ],
)
async def test_asking_for_a_refresh_has_one_schema_of_answers(
    asked: Asked, status: int, code: str | None, again: int | None
) -> None:
    async with serving(asked=asked, enable_lifecycle=True) as site:
        got, body, header = await post(site)
    assert (got, header) == (status, None if again is None else str(again))
    assert body.keys() == {"message", "error", "request_id", "refresh_started_at", "retry_after_seconds"}
    assert body["retry_after_seconds"] == again
    assert body["refresh_started_at"] == (None if asked.state == "stopped" else "2026-05-28T20:26:40Z")
    error = None if code is None else {"code": code, "message": body["message"], "request_id": body["request_id"]}
    assert body["error"] == error
    assert body["request_id"]


async def test_a_refresh_is_asked_for_by_those_only_who_may() -> None:
    async with serving() as site:
        assert (await post(site))[1]["error"]["code"] == "lifecycle_disabled"
        assert site.refreshes == []
    async with serving(enable_lifecycle=True) as site:
        refused = await post(site, headers={"Origin": "https://evil.example.org"})
        assert (refused[0], refused[1]["error"]["code"]) == (403, "other_site")
        assert (await post(site, data=b"{}"))[0] == 400
        assert site.refreshes == []


async def test_a_detail_of_another_kind_is_no_answer(site: Running) -> None:
    site.feed.publish(snapshot(1, details={"discovery": "a plugin's", "refresh": DiscoveryDetail()}))
    assert (await site.get(TARGETS))[0] == (await site.get(TARGETS + "/status"))[0] == 503
