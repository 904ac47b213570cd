"""Does alerting deliver: a daemon in this process, and a service that says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from exporter.model.errors import Unavailable
from exporter.publishing import outlook
from exporter.publishing.past import Selector
from tests.app.test_daemon import BASE, page, running, target
from tests.fakes.remote import answer as http
from tests.fakes.remote import serve

API = "/api/v2/publishing"
_NAME = "alert_history_publishing_jobs_processed_total"


@dataclass
class Service:
    """Counts jobs as the alert-history service does."""

    url: str = ""
    jobs: dict[str, float] = field(default_factory=lambda: {"succeeded": 8.0, "failed": 2.0})

    async def metrics(self, request: web.Request) -> web.Response:
        lines = [f"# TYPE {_NAME} counter"]
        lines += [f'{_NAME}{{target="ops",state="{state}"}} {number}' for state, number in self.jobs.items()]
        lines += ["# TYPE alert_history_publishing_queue_size gauge"]
        lines += ['alert_history_publishing_queue_size{priority="high"} 20']
        return web.Response(text="\n".join([*lines, ""]), headers={"Content-Type": "text/plain; version=0.0.4"})


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    made = Service()
    app = web.Application()
    app.router.add_get("/metrics", made.metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    try:
        yield made
    finally:
        await runner.cleanup()


def config(watched: Service, receiver: str) -> str:
    return (
        f"targets: {{static: [{target('ops', receiver)}]}}\n"
        f"publishing_services: [{{name: history, url: '{watched.url}', dialect: alert-history}}]\n"
    )


async def asked(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(API + path) as answer:
        return await answer.json()


async def test_one_snapshot_tells_one_number_everywhere(tmp_path: Path) -> None:
    """On the page for Prometheus, in every answer, on the page for people, and in the history."""
    base = BASE.replace("interval: 500ms", "interval: 10m")
    async with service() as watched, serve(http(200)) as receiver:
        text = config(watched, receiver.url())
        async with running(tmp_path / "c", text, base) as (daemon, session):
            health, stats = await asked(session, "/health"), await asked(session, "/stats")
            assert health["snapshot_id"] == stats["snapshot_id"]
            assert health["components"]["success"] == {"value": 80.0, "weight": 0.5, "basis": "lifetime"}
            assert health["missing_components"] == ["performance"]
            assert stats["system"]["success_rate_percent"] == 80.0
            series = await page(session)
            assert f"publishing_health_score {health['score']}\n" in series
            assert 'publishing_health_score_component{component="success"} 80.0\n' in series
            assert f"{health['score']:.1f}</b> of 100" in (await (await session.get("/")).text())
            stored = await _stored(daemon.archive.history, health["snapshot_id"])
            assert stored == health["score"]
            (sample,) = [
                one for one in (await asked(session, "/metrics"))["metrics"] if one["name"] == "publishing_health_score"
            ]
            assert sample["value"] == health["score"]


async def _stored(history: Any, snapshot: int) -> float:
    async with asyncio.timeout(10):
        while True:
            try:
                found = await history.last(Selector("publishing_health_score"), snapshot)
            except Unavailable:
                found = ()
            if found:
                ((_, point),) = found
                return float(point.value)
            await asyncio.sleep(0.05)


async def test_a_receiver_that_breaks_is_seen_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the figures of the target, in the checks, and in the error rate of the last minutes."""
    monkeypatch.setattr(outlook, "PAUSE", 0.0)
    monkeypatch.setattr(outlook, "PAUSES", 0.0)
    async with service() as watched, serve(http(200)) as receiver:
        text = config(watched, receiver.url())
        async with running(tmp_path / "c", text) as (_, session):
            await _until(session, "/stats/ops", lambda one: one["jobs"]["total_processed"] == 10.0)
            watched.jobs["failed"] += 30
            broken = await _until(session, "/stats/ops", lambda one: one["signals"]["publish"] is False)
            assert broken["last_publish"]["failure"] is not None
            assert broken["signals"]["answer"] is True, "reachable, and yet nothing is delivered"
            checks = (await asked(session, "/health"))["checks"]
            assert checks["failing_publishes"] == "critical: 1 of 1: ops"
            trends = await _until(session, "/trends", lambda one: one["trends"]["error_rate_latest"] == 100.0)
            assert trends["trends"]["error_spike_detected"] is None, "a daemon that has just begun knows no usual day"
            assert trends["targets"][0]["target_name"] == "ops"
            watched.jobs["succeeded"] += 90
            await _until(session, "/stats/ops", lambda one: one["signals"]["publish"] is True)
            await _until(session, "/trends", lambda one: one["trends"]["error_rate_latest"] < 30.0)
            assert (await asked(session, "/health"))["checks"]["failing_publishes"] == "ok"


async def _until(session: aiohttp.ClientSession, path: str, fits: Any) -> Any:
    async with asyncio.timeout(15):
        while True:
            found = await asked(session, path)
            if fits(found):
                return found
            await asyncio.sleep(0.05)


async def test_another_prefix_is_asked_for_under_its_new_name(tmp_path: Path) -> None:
    file = tmp_path / "c"
    async with service() as watched, serve(http(200)) as receiver:
        text = config(watched, receiver.url())
        async with running(file, text) as (daemon, session):
            file.write_text(BASE + text + "metric_prefix: alerts\n")
            async with session.post("/-/reload") as answer:
                assert answer.status == 200
            assert daemon.archive.outlook is not None
            assert daemon.archive.outlook.prefix == "alerts"


async def test_without_history_the_services_own_totals_stand_in(tmp_path: Path) -> None:
    async with service() as watched, serve(http(200)) as receiver:
        text = config(watched, receiver.url()) + "history: {path: null}\n"
        async with running(tmp_path / "c", text) as (_, session):
            health = await _until(session, "/health", lambda one: one.get("score") is not None)
            assert health["components"]["success"]["basis"] == "lifetime"
            assert (await asked(session, "/trends"))["summary"] == "There is no history to compare with."
