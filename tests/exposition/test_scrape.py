"""A real Prometheus reads the pages: both formats, plain and put together from compressed segments."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from exporter.engine.threads import DaemonPool
from exporter.exposition.format import Format
from exporter.exposition.negotiate import accepts_gzip, negotiate
from exporter.exposition.pages import Pages
from exporter.model.metric import Distribution, Family, Key, Kind, Quantiles, Samples, Value
from tests.exposition.build import Series, bits, parsed, snapshot
from tests.exposition.test_render import HOSTILE, ODD_NUMBERS
from tests.programs import program

KINDS = {
    "text": (Format.TEXT, False),
    "text-gzip": (Format.TEXT, True),
    "openmetrics": (Format.OPENMETRICS, False),
    "openmetrics-gzip": (Format.OPENMETRICS, True),
}
DEADLINE = 60.0


def samples() -> list[Samples]:
    """Enough series for several segments, and every kind of trouble."""
    numbers = (*ODD_NUMBERS, math.nan, math.inf, -math.inf)
    many = Family("a_requests_total", "Many.", Kind.COUNTER, ("app", "status"))
    rows: dict[Key, Value] = {(f"app {i}", "ok"): i / 7 for i in range(2_000)}
    seconds = Family("a_duration_seconds", "Duration.", Kind.HISTOGRAM, ("x",), "seconds", (0.005, 1.0, 1e6))
    size = Family("a_size_bytes", "Size.", Kind.SUMMARY, (), "bytes", (0.5, 0.99))
    return [
        Samples.of(many, rows),
        Samples.of(Family("a_hostile", 'Labels "\\\n.', labels=("x",)), {(value,): 1.0 for value in HOSTILE}),
        Samples.of(Family("a_reading", "Numbers.", labels=("x",)), {(f"{i}",): v for i, v in enumerate(numbers)}),
        Samples.of(seconds, {("1",): Distribution((2.0, 0.0, 1.0, 4.0), 61.5)}),
        Samples.of(size, {(): Quantiles((0.5, 0.75), 9.5, 3.0)}),
        Samples.of(Family("a_thing", "Unknown.", Kind.UNKNOWN), 1.0),
    ]


async def serve(pages: Pages, asked: list[tuple[Format, bool]]) -> web.Application:
    now = snapshot({"a": tuple(samples())})

    async def page(request: web.Request) -> web.Response:
        headers = request.headers
        asked.append((negotiate(headers.get("Accept")), accepts_gzip(headers.get("Accept-Encoding"))))
        made = await pages.page(now, *KINDS[request.match_info["kind"]])
        sent = {"Content-Type": made.format.content_type} | ({"Content-Encoding": "gzip"} if made.gzipped else {})
        return web.Response(body=made.body, headers=sent)

    application = web.Application()
    application.router.add_get("/{kind}", page)
    return application


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def prometheus(scraped: BaseTestServer, directory: Path) -> AsyncIterator[str]:
    """A Prometheus that scrapes every kind of page each second; gives its query address."""
    jobs = [
        {"job_name": kind, "metrics_path": f"/{kind}", "static_configs": [{"targets": [f"127.0.0.1:{scraped.port}"]}]}
        for kind in KINDS
    ]
    config = directory / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/api/v1/query"
    finally:
        process.terminate()
        await process.wait()


async def query(session: aiohttp.ClientSession, url: str, expression: str) -> list[dict[str, Any]]:
    try:
        async with session.get(url, params={"query": expression}) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, ValueError):
        return []  # still starting
    found: list[dict[str, Any]] = answer.get("data", {}).get("result", [])
    return found


async def all_up(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(await query(session, url, "up == 1")) < len(KINDS):
            await asyncio.sleep(0.1)


def stored(result: list[dict[str, Any]]) -> dict[Series, bytes]:
    found = {}
    for series in result:
        labels = {name: value for name, value in series["metric"].items() if name not in ("job", "instance")}
        found[labels.pop("__name__"), frozenset(labels.items())] = bits(float(series["value"][1]))
    return found


def expected(page: bytes, format: Format) -> dict[Series, bytes]:
    """What the page says, without the empty labels a server does not store."""
    found = parsed(page, format)
    return {
        (name, frozenset((label, value) for label, value in labels if value)): number
        for (name, labels), number in found.items()
    }


async def test_prometheus_stores_what_the_page_says(tmp_path: Path) -> None:
    program("prometheus")
    pages, asked = Pages(DaemonPool("render", 1)), list[tuple[Format, bool]]()
    async with (
        TestServer(await serve(pages, asked)) as server,
        prometheus(server, tmp_path) as url,
        aiohttp.ClientSession() as session,
    ):
        await all_up(session, url)
        for job, (format, _) in KINDS.items():
            async with session.get(server.make_url(f"/{job}")) as response:
                page = await response.read()
            assert stored(await query(session, url, f'{{__name__=~"a_.*|p.*",job="{job}"}}')) == expected(page, format)
        assert (Format.OPENMETRICS, True) in asked
        assert not await query(session, url, "up == 0")
