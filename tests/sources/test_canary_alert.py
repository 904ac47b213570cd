"""What an Alertmanager is sent, and where."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.config.schema import PublishingService
from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.sources.canary import Canaries
from exporter.sources.canary_alert import places
from exporter.sources.resolver import Resolver
from tests.fakes.clock import RealClock
from tests.fakes.remote import TLS, Script, answer, hangs, serve, server_tls

TOKEN = "the-token-of-the-canary"


def service(canary: dict[str, Any] | None = None, **more: Any) -> PublishingService:
    usual: dict[str, Any] = {"name": "am", "dialect": "alertmanager"}
    return PublishingService.model_validate({**usual, **more, "canary": {"token": TOKEN, **(canary or {})}})


class Alertmanager:
    """Notes the alerts it is sent, and answers all alike."""

    def __init__(self, said: bytes | None = None) -> None:
        self.said = said or answer(200)
        self.alerts: list[Any] = []
        self.came = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b""
        while not body.endswith(b"}]"):
            body += await reader.read(65536)
        self.alerts += json.loads(body)
        writer.write(self.said)
        self.came.set()


@asynccontextmanager
async def flying(*services: PublishingService) -> AsyncIterator[Canaries]:
    clock = RealClock()
    resolver = Resolver(DaemonPool("names", 1), clock)
    canaries = Canaries(resolver, clock, DaemonPool("files", 1), luck=lambda: 0.0)
    canaries.configure(services)
    try:
        yield canaries
    finally:
        await canaries.close()
        await resolver.close()


async def test_an_alert_is_sent_as_the_api_takes_it_with_the_credentials_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("bearer-c4n4ry\n")
    alertmanager = Alertmanager()
    async with serve(alertmanager) as remote:
        watched = service(
            {"labels": {"team": "a"}, "timeout": "30s"},
            url=remote.url("/am/metrics"),
            headers={"X-Scope": "b"},
            bearer_token_file=tmp_path / "token",
        )
        async with flying(watched) as canaries, asyncio.timeout(5):
            await alertmanager.came.wait()
            (alert,) = alertmanager.alerts
            assert canaries.returned(["am"], [alert["labels"]["canary_id"]]) == 1
    head = remote.heads[0].lower()
    assert head.startswith("post /am/api/v2/alerts http/1.1")
    for line in ("content-type: application/json", "x-scope: b", "authorization: bearer bearer-c4n4ry"):
        assert f"\r\n{line}\r\n" in head
    labels = alert["labels"]
    assert {**labels, "canary_id": ""} == {"alertname": "PlatformExporterCanary", "team": "a", "canary_id": ""}
    begin, end = (float(alert[key][17:].rstrip("Z").partition("+")[0]) for key in ("startsAt", "endsAt"))
    assert round(end - begin, 3) % 60 == 30


async def test_every_replica_is_sent_it_and_one_that_takes_it_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    fine, refuses = Alertmanager(), Alertmanager(answer(500))
    async with serve(fine) as one, serve(refuses) as other:
        urls = (other.url("/metrics"), one.url("/metrics"))
        async with flying(service({"interval": "1s", "timeout": "200ms"}, urls=urls)), asyncio.timeout(5):
            await fine.came.wait()
            await refuses.came.wait()
            while not caplog.records:
                await asyncio.sleep(0.01)
    assert fine.alerts[0]["labels"] == refuses.alerts[0]["labels"]
    assert "reason" not in caplog.records[0].__dict__["fields"]


@pytest.mark.parametrize(
    ("script", "reason"), [(answer(401), "auth"), (answer(302, "Location: /"), "redirect"), (hangs, "timeout")]
)
async def test_why_it_could_not_be_sent_is_told_once_it_is_lost(
    caplog: pytest.LogCaptureFixture, script: Script | bytes, reason: str
) -> None:
    async with serve(script) as remote:
        watched = service({"interval": "1s", "timeout": "200ms"}, url=remote.url("/metrics"))
        async with flying(watched), asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.01)
    assert caplog.records[0].__dict__["fields"]["reason"] == reason
    assert TOKEN not in caplog.text


async def test_its_certificate_is_verified_as_the_service_says() -> None:
    alertmanager = Alertmanager()
    async with serve(alertmanager, tls=server_tls()) as remote:
        url = remote.url("/metrics", host="localhost")
        async with flying(service(url=url, tls={"ca_file": TLS / "ca.pem"})), asyncio.timeout(5):
            await alertmanager.came.wait()


AM = "http://am:9093"


@pytest.mark.parametrize(
    ("canary", "more", "expected"),
    [
        ({}, {"url": f"{AM}/metrics"}, [f"{AM}/api/v2/alerts"]),
        ({}, {"url": f"{AM}/below/metrics"}, [f"{AM}/below/api/v2/alerts"]),
        ({}, {"urls": ("http://a/metrics", "http://b/metrics")}, ["http://a/api/v2/alerts", "http://b/api/v2/alerts"]),
        ({}, {"dns": {"name": "am", "port": 9093}}, [f"{AM}/api/v2/alerts"]),
        ({}, {"dns": {"name": "am", "port": 9093}, "tls": {}}, ["https://am:9093/api/v2/alerts"]),
        ({"url": AM}, {"url": "http://x/y"}, [f"{AM}/api/v2/alerts"]),
        ({"url": f"{AM}/"}, {"url": "http://x/y", "dialect": "alert-history"}, [f"{AM}/api/v2/alerts"]),
        ({"url": f"{AM}/api/v2/alerts"}, {"url": "http://x/y"}, [f"{AM}/api/v2/alerts"]),
    ],
)
def test_where_alerts_are_taken_is_known_from(canary: Any, more: Any, expected: list[str]) -> None:
    assert [place.reveal() for place in places(service(canary, **more))] == expected


@pytest.mark.parametrize(
    ("canary", "more"),
    [
        ({}, {"url": f"{AM}/federate"}),
        ({}, {"url": f"{AM}/metrics?x=c4n4ry"}),
        ({}, {"urls": ("http://a/metrics", "http://b/other")}),
        ({}, {"url": f"{AM}/metrics", "dialect": "prometheus"}),
        ({"url": f"{AM}/?x=c4n4ry"}, {"url": f"{AM}/metrics"}),
    ],
)
def test_where_it_cannot_be_known_that_is_told(canary: Any, more: Any) -> None:
    with pytest.raises(Failure) as caught:
        places(service(canary, **more))
    assert "url" in caught.value.detail
    assert "c4n4ry" not in caught.value.detail
