"""Figures of publishing over real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import pytest
from yarl import URL

from exporter.model.metric import Samples
from exporter.model.snapshot import Snapshot
from exporter.publishing.verdict import HealthState
from exporter.web import stats
from tests.programs import program
from tests.web.conftest import Running, snapshot
from tests.web.standings import HOUR, JOBS, detail, standing

STATS = "/api/v2/publishing/stats"
SYSTEM = {
    "total_targets": 3,
    "healthy_targets": 2,
    "degraded_targets": 0,
    "unhealthy_targets": 1,
    "unknown_targets": 0,
    "disabled_targets": 0,
    "success_rate_percent": pytest.approx(100 * 91 / 101),
    "queue_size": 160.0,
    "queue_capacity": 1000.0,
    "jobs": {
        "total_processed": 101.0,
        "succeeded": 91.0,
        "failed": 10.0,
        "success_rate_percent": pytest.approx(100 * 91 / 101),
    },
}


async def asked(site: Running, path: str = "", status: int = 200) -> Any:
    async with site.client.get(URL(site.url(STATS + path), encoded=True)) as answer:
        found = await answer.json()
        assert (answer.status, answer.content_type) == (status, "application/json"), found
        return found


async def names(site: Running, query: str) -> list[str]:
    return [one["target_name"] for one in (await asked(site, query))["targets"]]


async def test_everything_is_told_of_all_and_of_each(site: Running) -> None:
    site.feed.publish(standing(7, score=detail(HOUR)))
    found = await asked(site)
    assert found["system"] | {"success_rate_percent": SYSTEM["success_rate_percent"]} == SYSTEM
    assert found["system"]["success_rate_percent"] == 75.0, "the last hour, where it is known"
    assert (found["snapshot_id"], found["age_seconds"], found["timestamp"]) == (7, 4.0, "2026-05-28T20:26:36Z")
    assert found["targets"][1] == {
        "target_name": "on-call",
        "target_type": "pagerduty",
        "enabled": True,
        "origin": "static",
        "use": "used",
        "health": {
            "status": "unhealthy",
            "success_rate_percent": 100.0,
            "consecutive_failures": 0,
            "last_check": "2026-05-28T20:26:30Z",
        },
        "signals": {"resolve": True, "connect": True, "tls": True, "answer": True, "publish": False},
        "last_publish": {"success": None, "failure": "2026-05-28T20:26:30Z"},
        "jobs": {"total_processed": 10.0, "succeeded": 0.0, "failed": 10.0, "success_rate_percent": 0.0},
        "jobs_last_hour": {"total_processed": 1, "succeeded": 0, "failed": 1, "success_rate_percent": 0.0},
    }
    assert found["targets"][2]["last_publish"] == {"success": "2026-05-28T20:18:20Z", "failure": None}
    assert [one["use"] for one in found["targets"]] == ["used", "used", "unused", "unconfigured"]
    assert found["targets"][3]["target_type"] is None
    assert (found["total"], found["offset"], found["limit"], found["groups"]) == (4, 0, None, [])


async def test_W_A1_a_target_is_found_by_its_exact_name_alone(site: Running) -> None:
    """Nothing that merely contains a name, and no word of the API, is a target."""
    site.feed.publish(standing())
    assert (await asked(site, "/ops"))["target_name"] == "ops"
    for other in ("op", "slack", "queue", "a", "OPS", "ops%20", "*", "ops-slack%22,state=", "%2F"):
        assert (await asked(site, f"/{other}", 404))["error"]["code"] == "unknown_target"
    found = (await asked(site, "/ops"))["metrics"]
    assert {one["labels"]["target"] for one in found} == {"ops"}, "not those of ops-slack"


async def test_W_A1_filters_match_exactly(site: Running) -> None:
    site.feed.publish(standing())
    assert await names(site, "?filter=type:slack") == ["ops-slack", "ops"]
    assert await names(site, "?filter=type:unconfigured") == ["stray"]
    assert await names(site, "?filter=status:unhealthy") == ["on-call"]
    assert await names(site, "?filter=status:degraded") == []
    assert await names(site, "?filter=type:webhook&limit=5") == []


@pytest.mark.parametrize(
    "query",
    [
        "?filter=type:slac",
        "?filter=status:fine",
        "?filter=name:ops",
        "?filter=type",
        "?filter=:",
        "?filter=type:",
        "?filter=type:slack&filter=type:webhook",
        "?group_by=origin",
        "?limit=-1",
        "?limit=1e3",
        "?offset=x",
        "?format=xml",
    ],
)
async def test_W_A4_what_a_parameter_cannot_mean_is_refused_in_the_one_schema(site: Running, query: str) -> None:
    site.feed.publish(standing())
    error = (await asked(site, query, 400))["error"]
    assert sorted(error) == ["code", "message", "request_id"]
    assert error["code"] == "bad_parameter"


async def test_W_A4_numbers_are_numbers_and_every_error_is_json(site: Running) -> None:
    site.feed.publish(standing())
    found = await asked(site)
    assert all(not isinstance(value, str) for value in found["system"].values())
    for method, path, status in (("GET", "/nope", 404), ("POST", "", 405), ("DELETE", "/ops", 405)):
        async with site.client.request(method, site.url(STATS + path)) as answer:
            assert answer.status == status
            assert sorted((await answer.json())["error"]) == ["code", "message", "request_id"]


async def test_W_A5_a_filter_narrows_the_list_and_no_total(site: Running) -> None:
    site.feed.publish(standing())
    whole = await asked(site)
    for query, total in (("?filter=type:pagerduty", 1), ("?filter=status:degraded", 0), ("?limit=1&offset=1", 4)):
        part = await asked(site, query)
        assert part["system"] == whole["system"]
        assert part["total"] == total
    assert await names(site, "?limit=1&offset=1") == ["on-call"]
    assert await names(site, "?limit=0") == []


async def test_groups_add_up_their_members(site: Running) -> None:
    site.feed.publish(standing())
    groups = {one["group"]: one for one in (await asked(site, "?group_by=type"))["groups"]}
    assert list(groups) == ["slack", "pagerduty", "unconfigured"]
    assert (groups["slack"]["total_targets"], groups["slack"]["jobs"]["succeeded"]) == (2, 90.0)
    by_status = (await asked(site, "?group_by=status"))["groups"]
    assert {one["group"]: one["total_targets"] for one in by_status} == {"healthy": 2, "unhealthy": 1, "unknown": 1}
    by_target = (await asked(site, "?group_by=target&filter=type:slack"))["groups"]
    assert [one["group"] for one in by_target] == ["ops-slack", "ops"]


async def test_W_A3_an_etag_is_of_the_content_and_of_the_format(site: Running) -> None:
    tags = {}
    for number, query in enumerate(("", "?format=prometheus", "?format=json")):
        site.feed.publish(standing(number + 1))
        async with site.client.get(site.url(STATS + query)) as answer:
            tags[query] = answer.headers["ETag"]
        site.feed.publish(standing(number + 50))
        async with site.client.get(site.url(STATS + query), headers={"If-None-Match": tags[query]}) as same:
            assert (same.status, await same.read()) == (304, b"")
    assert tags[""] == tags["?format=json"] != tags["?format=prometheus"]
    site.feed.publish(standing(99, score=detail(ops=HealthState.DEGRADED)))
    async with site.client.get(site.url(STATS), headers={"If-None-Match": tags[""]}) as changed:
        assert changed.status == 200


async def test_text_for_prometheus(site: Running) -> None:
    site.feed.publish(standing())
    async with site.client.get(site.url(STATS + "?format=prometheus")) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    assert "publishing_stats_total_targets 3.0\n" in text
    assert "publishing_stats_queue_capacity 1000.0\n" in text
    one = (await site.get(STATS + "/on-call?format=prometheus"))[1]
    assert "publishing_stats_target_failed 10.0\n" in one


async def test_text_for_prometheus_passes_promtool(site: Running) -> None:
    promtool = program("promtool")
    site.feed.publish(standing())
    for path in ("?format=prometheus", "/on-call?format=prometheus"):
        text = (await site.get(STATS + path))[1]
        checked = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


async def test_what_is_not_known_is_left_out_of_the_text(site: Running) -> None:
    site.feed.publish(standing(score=type(detail())()))
    text = (await site.get(STATS + "?format=prometheus"))[1]
    assert "success_rate_percent" not in text
    assert "publishing_stats_total_targets 0.0" in text


async def test_one_target_has_its_samples_and_its_trend(site: Running) -> None:
    site.feed.publish(standing())
    found = await asked(site, "/on-call")
    assert found["trend"]["error_spike_detected"] is True
    assert found["metrics"] == [
        {
            "name": "publishing_jobs_processed_total",
            "labels": {"target": "on-call", "state": "failed"},
            "value": None,
        }
    ]
    assert (await asked(site, "/ops"))["trend"] is None
    histogram = [
        (one["name"], one["labels"].get("le"), one["value"]) for one in (await asked(site, "/ops-slack"))["metrics"][1:]
    ]
    name = "publishing_job_duration_seconds"
    assert histogram == [
        (f"{name}_bucket", "0.5", 60.0),
        (f"{name}_bucket", "1.0", 100.0),
        (f"{name}_bucket", "+Inf", 100.0),
        (f"{name}_sum", None, 30.0),
        (f"{name}_count", None, 100.0),
    ]


async def test_samples_are_those_of_the_newest_series(site: Running) -> None:
    """What was worked out of the series of one snapshot does not stand for those of the next."""
    site.feed.publish(standing(1))
    assert len((await asked(site, "/ops-slack"))["metrics"]) == 6
    column = Samples.of(JOBS, {("new", "failed"): 1.0, ("ops-slack", "succeeded"): 7.0})
    site.feed.publish(standing(2, samples={"queue": (column, column)}))
    found = (await asked(site, "/ops-slack"))["metrics"]
    assert [(one["labels"]["target"], one["value"]) for one in found] == [("ops-slack", 7.0)] * 2


@pytest.mark.parametrize("path", ["", "/ops", "/ops?format=prometheus", "?format=prometheus"])
async def test_without_a_score_nothing_is_made_up(site: Running, path: str) -> None:
    assert (await asked(site, path, 503))["error"]["code"] == "not_ready"
    site.feed.publish(snapshot())
    assert (await asked(site, path, 503))["error"]["code"] == "not_known"


async def test_many_who_ask_at_once_have_it_made_once(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = stats._stats

    def counted(found: Snapshot, query: Any) -> Any:
        made.append(found.id)
        return real(found, query)

    monkeypatch.setattr(stats, "_stats", counted)
    site.feed.publish(standing(3))
    answers = await asyncio.gather(*(asked(site) for _ in range(20)))
    assert made == [3]
    assert all(answer == answers[0] for answer in answers)
    site.feed.publish(standing(4))
    assert (await asked(site))["snapshot_id"] == 4
    assert json.dumps(made) == "[3, 4]"
