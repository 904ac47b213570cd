from __future__ import annotations

import json
import logging
import re

import pytest
from yarl import URL

from exporter.web.events import Events
from exporter.web.middleware import BUCKETS
from exporter.web.routes import table
from tests.web.conftest import Running, serving, snapshot


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "LOCK"])
async def test_every_route_takes_its_methods_and_no_other(site: Running, method: str) -> None:
    site.feed.publish(snapshot())
    for route in table(site.site, Events(site.site)):
        taken = [route.method] if route.stream or route.method != "GET" else ["GET", "HEAD"]
        if method in taken:
            continue  # has tests of its own
        path = route.path.replace("{name}", "team%2Fslack%2F0")
        async with site.client.request(method, URL(site.url(path), encoded=True)) as answer:
            body = await answer.read()
        assert answer.status == 405, path
        assert answer.headers["Allow"] == ", ".join(taken), path
        if method != "HEAD":
            assert json.loads(body)["error"]["code"] == "method_not_allowed"
        counted = method if method != "LOCK" else "other"
        assert site.counted()[route.path, counted, "405"] == 1


async def test_posts_are_those_that_change_something_and_the_canary(site: Running) -> None:
    assert {route.path for route in table(site.site, Events(site.site)) if route.method != "GET"} == {
        "/-/reload",
        "/api/v2/publishing/targets/refresh",
        "/api/v2/publishing/targets/health/{name}/check",
        "/api/v2/publishing/canary",
    }


async def test_nothing_at_a_path_is_told_in_json(site: Running) -> None:
    status, body = await site.get("/nope/<script>")
    error = json.loads(body)["error"]
    assert status == 404
    assert (error["code"], error["message"]) == ("not_found", "there is nothing at this path")
    assert re.fullmatch(r"[0-9a-f]{16}", error["request_id"])


async def test_what_clients_make_up_never_becomes_a_label(site: Running) -> None:
    for number in range(50):
        await site.get(f"/nope/{number}")
        await site.get(f"/api/v2/publishing/targets/{number}")
    for method in ("LOCK", "SEARCH", "PROPFIND", "MKCOL"):
        async with site.client.request(method, site.url("/metrics")):
            pass
    assert site.counted() == {
        ("other", "GET", "404"): 50,
        ("/api/v2/publishing/targets/{name}", "GET", "503"): 50,
        ("/metrics", "other", "405"): 4,
    }


async def test_requests_are_timed_by_route(site: Running) -> None:
    site.feed.publish(snapshot())
    await site.get("/metrics")
    await site.get("/nope")
    found = next(s for s in site.meter.capture() if s.family.name == "http_request_duration_seconds")
    counts = {key: sum(values[: len(BUCKETS) + 1]) for key, values in found.rows()}
    assert counts["/metrics",] == counts["other",] == 1
    assert ("/events",) not in counts


async def test_an_error_of_ours_is_logged_once_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(RuntimeError("the-password"), enable_lifecycle=True) as site:
        async with site.client.post(site.url("/-/reload")) as answer:
            body = await answer.text()
        assert site.counted()["/-/reload", "POST", "500"] == 1
    assert answer.status == 500
    assert "the-password" not in body + caplog.text
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "RuntimeError at conftest.py:" in record.getMessage()
    assert json.loads(body)["error"]["request_id"] in record.getMessage()


async def test_every_answer_has_the_default_headers(site: Running) -> None:
    site.feed.publish(snapshot())
    for path in ("/", "/metrics", "/-/healthy", "/openapi.json", "/nope", "/-/reload"):
        async with site.client.get(site.url(path)) as answer:
            headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert headers["Server"] == "platform-exporter", path
