from __future__ import annotations

import gzip

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from exporter.model.metric import Samples
from tests.web.conftest import STATUS, Running, serving, snapshot

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def test_serves_the_text_format_with_its_headers(site: Running) -> None:
    site.feed.publish(snapshot())
    async with site.client.get(site.url("/metrics")) as answer:
        body = await answer.text()
    assert answer.status == 200
    assert 'publishing_health_status{target="ops-slack",type="slack"} 1' in body
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "aiohttp" not in answer.headers["Server"]


async def test_serves_openmetrics_to_whoever_asks_for_it(site: Running) -> None:
    site.feed.publish(snapshot())
    async with site.client.get(site.url("/metrics"), headers={"Accept": OPENMETRICS}) as answer:
        body = await answer.text()
    assert answer.content_type == "application/openmetrics-text"
    assert "publishing_jobs_processed" in {family.name for family in openmetrics(body)}  # type: ignore[no-untyped-call]


async def test_compressed_and_plain_bodies_are_equal(site: Running) -> None:
    site.feed.publish(snapshot())
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        async with raw.get(site.url("/metrics"), headers={"Accept-Encoding": "gzip"}) as packed:
            body = await packed.read()
        async with raw.get(site.url("/metrics"), headers={"Accept-Encoding": "identity"}) as plain:
            assert gzip.decompress(body) == await plain.read()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers


async def test_a_new_snapshot_is_served_at_once(site: Running) -> None:
    for number in (1, 2):
        page = snapshot(number, samples={"health": (Samples.of(STATUS, {("t", "x"): float(number)}),)})
        site.feed.publish(page)
        assert f'{{target="t",type="x"}} {number}' in (await site.get("/metrics"))[1]


async def test_head_has_the_length_and_no_body(site: Running) -> None:
    site.feed.publish(snapshot())
    _, body = await site.get("/metrics", headers={"Accept-Encoding": "identity"})
    async with site.client.head(site.url("/metrics"), headers={"Accept-Encoding": "identity"}) as answer:
        assert await answer.read() == b""
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) == pytest.approx(len(body.encode()), abs=200)


async def test_without_a_snapshot_there_are_only_our_own_metrics(site: Running) -> None:
    await site.get("/-/healthy")
    status, body = await site.get("/metrics")
    assert status == 200
    assert 'http_requests_total{route="/-/healthy",method="GET",code="200"} 1' in body
    assert "publishing_" not in body


async def test_an_expired_snapshot_is_not_shown(site: Running) -> None:
    site.feed.publish(snapshot())
    site.clock.passed = 40.9
    assert "publishing_" in (await site.get("/metrics"))[1]
    site.clock.passed = 41.0
    status, body = await site.get("/metrics")
    assert status == 200
    assert "publishing_" not in body


@pytest.mark.parametrize(
    ("query", "seen", "hidden"),
    [
        ("name[]=publishing_health_status", "publishing_health_status", "publishing_jobs"),
        ("collect[]=queue", "publishing_jobs", "publishing_health_status"),
        ("exclude[]=queue", "publishing_health_status", "publishing_jobs"),
        ("other=1", "publishing_jobs", "nothing"),
    ],
)
async def test_a_part_of_the_page(site: Running, query: str, seen: str, hidden: str) -> None:
    site.feed.publish(snapshot())
    status, body = await site.get(f"/metrics?{query}")
    assert status == 200
    assert seen in body
    assert hidden not in body


async def test_an_unknown_collector_is_refused_with_the_known_ones(site: Running) -> None:
    site.feed.publish(snapshot())
    for key in ("collect", "exclude"):
        status, body = await site.get(f"/metrics?{key}[]=nope")
        assert status == 400
        assert '"unknown_collector"' in body
        assert "health, queue" in body


async def test_PROC6_a_part_of_the_page_has_to_wait_while_memory_is_short() -> None:
    async with serving(short_of_memory=lambda: True) as site:
        site.feed.publish(snapshot())
        status, body = await site.get("/metrics?collect[]=queue")
        assert status == 503
        assert '"short_of_memory"' in body
        assert (await site.get("/metrics"))[0] == 200


async def test_collect_and_exclude_do_not_go_together(site: Running) -> None:
    site.feed.publish(snapshot())
    status, body = await site.get("/metrics?collect[]=queue&exclude[]=health")
    assert status == 400
    assert '"bad_selection"' in body


@pytest.mark.parametrize("name", ["Accept", "Accept-Encoding"])
@pytest.mark.parametrize("value", ["", ";;;,,,", "application/openmetrics-text; version=abc", "gzip;q=x", "é" * 900])
async def test_hostile_headers_get_a_page(site: Running, name: str, value: str) -> None:
    site.feed.publish(snapshot())
    status, _ = await site.get("/metrics", headers={name: value})
    assert status == 200


async def test_another_telemetry_path() -> None:
    async with serving(telemetry_path="/internal/prom") as site:
        site.feed.publish(snapshot())
        assert "publishing_" in (await site.get("/internal/prom"))[1]
        assert (await site.get("/metrics"))[0] == 404
        assert 'href="internal/prom"' in (await site.get("/"))[1]


async def test_the_page_for_prometheus_may_be_at_the_root() -> None:
    async with serving(telemetry_path="/") as site:
        site.feed.publish(snapshot())
        assert "publishing_health_status" in (await site.get("/"))[1]


async def test_a_telemetry_path_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="telemetry path"):
        async with serving(telemetry_path="/-/ready"):
            pass
