"""A real Alertmanager sends to receivers that take, refuse and delay: what we show is what they counted."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from exporter.collectors.publishers import Options, build
from exporter.publishing.deliveries import Tally
from exporter.publishing.outlook import NOTHING
from exporter.publishing.statistics import Book
from exporter.publishing.world import World
from tests.collectors.watched import rows, run, watching
from tests.faults.process import free_port
from tests.programs import program

REQUESTS, ERRORS = "publishing_publisher_requests_total", "publishing_publisher_errors_total"
ATTEMPTS, DURATION = "publishing_publisher_attempts_total", "publishing_publisher_duration_seconds"


class Receivers:
    """Loopback endpoints that count what they are sent, by what they answered."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.hanging = 0
        self.over = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        kind, _, way = request.path.strip("/").partition("-")
        await request.read()
        if way == "hangs":
            self.hanging += 1
            await self.over.wait()
            raise ConnectionResetError
        status = {"refuses": 400, "takes": 200}.get(way, 200)
        if way == "stutters":
            status = 503 if self.answered[kind, 503] < 2 else 200
        self.answered[kind, status] += 1
        return web.Response(status=status, text="ok")


@asynccontextmanager
async def receivers() -> AsyncIterator[tuple[Receivers, str]]:
    made = Receivers()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield made, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        made.over.set()
        await runner.cleanup()


@asynccontextmanager
async def alertmanager(folder: Path, config: object) -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    """The server of Debian, with this configuration: where it is, and its process."""
    path, port = program("prometheus-alertmanager"), free_port()
    (folder / "alertmanager.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            path,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while not await ready(session, f"{url}/-/ready"):
                await asyncio.sleep(0.05)
        yield url, process
    finally:
        process.terminate()
        process.wait(10)


async def ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except OSError:
        return False


def configuration(base: str) -> object:
    """A receiver for each way of answering; each alert goes to the one its label names."""
    integrations = {
        "slack-takes": {"slack_configs": [{"api_url": f"{base}/slack-takes", "channel": "#ops"}]},
        "slack-refuses": {"slack_configs": [{"api_url": f"{base}/slack-refuses", "channel": "#ops"}]},
        "pagerduty-refuses": {"pagerduty_configs": [{"routing_key": "k" * 32, "url": f"{base}/pagerduty-refuses"}]},
        "webhook-takes": {"webhook_configs": [{"url": f"{base}/webhook-takes"}]},
        "webhook-stutters": {"webhook_configs": [{"url": f"{base}/webhook-stutters"}]},
        "webhook-hangs": {"webhook_configs": [{"url": f"{base}/webhook-hangs"}]},
    }
    routes = [{"receiver": name, "matchers": [f'way="{name}"']} for name in integrations]
    return {
        "route": {
            "receiver": "webhook-takes",
            "group_by": ["alertname"],
            "group_wait": "100ms",
            "group_interval": "1h",
            "routes": routes,
        },
        "receivers": [{"name": name, **integration} for name, integration in integrations.items()],
    }


async def send(url: str, *ways: str) -> None:
    alerts = [{"labels": {"alertname": f"alert-{number}", "way": way}} for number, way in enumerate(ways)]
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v2/alerts", json=alerts) as answer:
        assert answer.status == 200


ANSWERS = {
    ("slack", 200): 5,
    ("slack", 400): 2,
    ("pagerduty", 400): 1,
    ("webhook", 200): 4,
    ("webhook", 503): 2,
}


async def test_requests_errors_attempts_and_durations_are_what_the_receivers_counted(tmp_path: Path) -> None:
    async with receivers() as (counted, base), alertmanager(tmp_path, configuration(base)) as (url, _):
        often = {"slack-takes": 5, "slack-refuses": 2, "pagerduty-refuses": 1, "webhook-takes": 3}
        await send(url, *Counter(often).elements(), "webhook-stutters", "webhook-hangs")
        async with watching(am=("alertmanager", f"{url}/metrics")) as parts:
            collector = build(Options(), parts)
            assert collector is not None
            deadline, cycle, sent = time.monotonic() + 30, 0, 0.0
            while counted.answered != ANSWERS or not counted.hanging or sent != sum(ANSWERS.values()):
                assert time.monotonic() < deadline, (counted.answered, counted.hanging, sent)
                await asyncio.sleep(0.1)
                cycle += 1
                result = await collector.collect(run(cycle))
                sent = sum(number for (number,) in rows(result, ATTEMPTS).values())
    origin = ("am", url.removeprefix("http://"))
    for kind in ("slack", "pagerduty", "webhook"):
        taken, refused = ANSWERS.get((kind, 200), 0), ANSWERS.get((kind, 400), 0)
        assert rows(result, REQUESTS)[(kind, "", "success", *origin)] == (taken,)
        assert rows(result, REQUESTS)[(kind, "", "error", *origin)] == (refused,)
        # This version does not say why.
        assert rows(result, ERRORS)[(kind, "", "unknown", *origin)] == (refused,)
        everything = taken + refused + ANSWERS.get((kind, 503), 0)
        assert rows(result, ATTEMPTS)[(kind, "", *origin)] == (everything,)
        assert sum(rows(result, DURATION)[(kind, "", *origin)][:-1]) == everything
    standing = Book().standing(World.of({"publishers": result.detail}), NOTHING)
    taken, refused = (sum(number for (_, said), number in ANSWERS.items() if said == status) for status in (200, 400))
    assert standing.system.jobs == Tally(taken, refused)
    assert standing.score.components["success"].value == 100 * taken / (taken + refused)
