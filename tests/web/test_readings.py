"""The snapshot as JSON over real sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.model.reason import Outcome, Reason
from exporter.model.snapshot import Record
from exporter.publishing.upstream import UpstreamDetail
from tests.publishing.services import replica, service
from tests.web.conftest import WALL, Running
from tests.web.standings import standing

PATH = "/api/v2/publishing/metrics"


async def asked(site: Running) -> Any:
    async with site.client.get(site.url(PATH)) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_every_sample_has_its_labels_apart_from_its_name(site: Running) -> None:
    site.feed.publish(standing(6))
    found = await asked(site)
    assert found["metrics_count"] == len(found["metrics"]) == 10
    assert found["metrics"][0] == {
        "name": "publishing_jobs_processed_total",
        "labels": {"target": "ops-slack", "state": "succeeded"},
        "value": 90.0,
    }
    assert found["collection_duration_ms"] == 12.3
    assert (found["snapshot_id"], found["age_seconds"]) == (6, 4.0)


async def test_W_C6_what_json_cannot_write_is_null(site: Running) -> None:
    """An infinite sum of one target does not cost the others their answer."""
    site.feed.publish(standing())
    found = {(one["name"], *one["labels"].values()): one["value"] for one in (await asked(site))["metrics"]}
    assert found["publishing_jobs_processed_total", "on-call", "failed"] is None
    assert found["publishing_latency", "ops", "0.5"] is None
    assert (found["publishing_latency_sum", "ops"], found["publishing_latency_count", "ops"]) == (3.0, 2.0)
    assert found["publishing_jobs_processed_total", "ops-slack", "succeeded"] == 90.0


async def test_W_C3_collectors_are_told_by_how_they_ended(site: Running) -> None:
    """One that failed is available and has not succeeded; one that is switched off is neither."""
    outcomes = {
        "health": Record("health", Outcome.OK),
        "queue": Record("queue", Outcome.ERROR, Reason.CONNECT, "history a:1: refused"),
        "publishers": Record("publishers", Outcome.PARTIAL, Reason.DNS),
        "refresh": Record("refresh", Outcome.TIMEOUT, Reason.TIMEOUT, "", WALL - 14, 10.0, WALL - 100),
        "discovery": Record("discovery", Outcome.BACKOFF, Reason.RATE_LIMITED),
        "score": Record("score", Outcome.NODATA),
        "usage": Record("usage", Outcome.DISABLED),
    }
    site.feed.publish(replace(standing(), records=outcomes))
    found = await asked(site)
    assert {name: found[f"{name}_collectors"] for name in ("succeeded", "failed", "timed_out", "skipped")} == {
        "succeeded": ["health", "publishers", "score"],
        "failed": ["queue"],
        "timed_out": ["refresh"],
        "skipped": ["discovery", "usage"],
    }
    assert found["available_collectors"] == ["health", "queue", "publishers", "refresh", "discovery", "score"]
    assert found["errors"] == {
        "queue": "connect: history a:1: refused",
        "refresh": "timeout",
        "discovery": "rate_limited",
    }
    assert found["collectors"][3] == {
        "name": "refresh",
        "outcome": "timeout",
        "reason": "timeout",
        "detail": None,
        "duration_ms": 10000.0,
        "last_success": "2026-05-28T20:25:00Z",
    }


async def test_what_a_service_does_not_export_and_why_a_replica_is_refused_is_told(site: Running) -> None:
    refused = replica(name="lb:80", reason=Reason.PARTIAL)
    well = replace(replica(at=WALL), absent=("dlq_size", "workers_idle"), samples=12, last_success=WALL)
    upstream = service(well, replace(refused, detail="several processes answer at this address"))
    usual = standing()
    site.feed.publish(replace(usual, details={**usual.details, "queue": UpstreamDetail((upstream,))}))
    (found,) = (await asked(site))["upstreams"]
    assert (found["upstream"], found["dialect"]) == ("history", "alert-history")
    assert found["absent_families"] == ["dlq_size", "workers_idle"]
    assert found["replicas"][0] == {
        "replica": "a:1",
        "up": True,
        "reason": None,
        "detail": None,
        "samples": 12,
        "duration_ms": 10.0,
        "last_success": "2026-05-28T20:26:40Z",
    }
    assert found["replicas"][1]["up"] is False
    assert found["replicas"][1]["detail"] == "several processes answer at this address"


async def test_what_a_plugin_brings_is_no_part_of_it(site: Running) -> None:
    usual = standing()
    site.feed.publish(replace(usual, samples={"plugin": usual.samples["queue"]}))
    assert (await asked(site))["metrics"] == []
