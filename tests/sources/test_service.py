"""Watched services over real sockets: each replica once per cycle, whole or not at all."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exporter.config.dialects import known
from exporter.config.loader import parse
from exporter.config.schema import PublishingService
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Run
from exporter.model.reason import Reason
from exporter.publishing.upstream import ReplicaState, UpstreamState
from exporter.sources.credentials import tls_options
from exporter.sources.replica import Identity
from exporter.sources.resolver import Resolver
from exporter.sources.service import MOST_REPLICAS, PublishingServices
from tests.fakes.bodies import bomb, each, endless, head, packed
from tests.fakes.clock import RealClock
from tests.fakes.remote import TLS, Remote, Script, answer, hangs, says, serve, server_tls
from tests.sources.asking import resolving_to

TEXT = "Content-Type: text/plain; version=0.0.4; charset=utf-8"
OPEN = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"
CANARY = "c4n4ry"


def says_page(text: str, *headers: str) -> bytes:
    return answer(200, TEXT, *headers, body=text.encode())


def sent(number: int, started: int | None = None) -> str:
    start = "" if started is None else f"process_start_time_seconds {started}\n"
    return f'vmalert_alerts_sent_total{{addr="http://am:9093"}} {number}\n{start}'


def service(name: str = "up", dialect: str = "vmalert", **given: Any) -> PublishingService:
    return PublishingService.model_validate_json(json.dumps({"name": name, "dialect": dialect, **given}))


@dataclass
class World:
    """The source, and its cycles."""

    services: PublishingServices
    cycle: int = 0
    timeout: float = 5.0
    dialects: dict[str, Any] = field(default_factory=lambda: {"vmalert": known("vmalert")})

    def watch(self, *services: PublishingService) -> None:
        self.services.configure(services, self.dialects)

    def run(self) -> Run:
        self.cycle += 1
        return Run(self.cycle, time.monotonic() + self.timeout, time.time())

    async def scrape(self) -> tuple[UpstreamState, ...]:
        return await self.services.scrape(self.run())

    async def replica(self) -> ReplicaState:
        ((replica,),) = [upstream.replicas for upstream in await self.scrape()]
        return replica


@asynccontextmanager
async def world(*services: PublishingService, names: Any = None, timeout: float = 5.0) -> AsyncIterator[World]:
    clock = RealClock()
    resolver = Resolver(names or DaemonPool("names", 2), clock)
    made = World(PublishingServices(resolver, clock, DaemonPool("reading", 2), DaemonPool("files", 2)), timeout=timeout)
    made.watch(*services)
    try:
        yield made
    finally:
        await made.services.close()


def attempts(state: ReplicaState) -> float:
    (found,) = [rows.values for rows in state.rows if rows.family == "publisher_attempts_total"]
    return found[0]


# -- what is fine


async def test_a_replica_is_asked_for_openmetrics_and_read() -> None:
    async with serve(says_page(sent(7))) as remote, world(service(url=remote.url("/metrics"))) as here:
        state = await here.replica()
        assert (state.up, state.reason, state.samples) == (True, None, 1)
        assert state.replica == f"127.0.0.1:{remote.port}"
        assert attempts(state) == 7.0
        assert state.rows[0].keys == (("alertmanager", "http://am:9093", "up", state.replica),)
        assert "publisher_errors_total" in state.absent
        assert state.last_success is not None
        assert "GET /metrics HTTP/1.1" in remote.heads[0]
        assert "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5" in remote.heads[0]
        assert "Accept-Encoding: gzip" in remote.heads[0]


async def test_what_comes_as_openmetrics_is_read_as_such() -> None:
    page = 'vmalert_alerts_sent_total{addr="x"} 1 # {id="y"} 1.0\n# EOF\n'
    async with serve(answer(200, OPEN, body=page.encode())) as remote, world(service(url=remote.url())) as here:
        assert (await here.replica()).samples == 1
    async with serve(answer(200, OPEN, body=b"a 1\n")) as remote, world(service(url=remote.url())) as here:
        assert (await here.replica()).reason is Reason.PARSE


async def test_a_compressed_page_is_read() -> None:
    body = packed(sent(7).encode())
    page = answer(200, TEXT, "Content-Encoding: gzip", body=body)
    async with serve(page) as remote, world(service(url=remote.url())) as here:
        assert attempts(await here.replica()) == 7.0


async def test_col11_a_counter_that_goes_down_is_passed_on_as_it_is() -> None:
    script = each(says_page(sent(7, 100)), says_page(sent(2, 200)))
    async with serve(script) as remote, world(service(url=remote.url())) as here:
        assert [attempts(await here.replica()) for _ in range(2)] == [7.0, 2.0]


async def test_up21_timestamps_of_the_service_are_left_out() -> None:
    text = 'vmalert_alerts_sent_total{addr="x"} 1 99999999999999\n'
    page = says_page(text, "Date: Tue, 01 Jan 2080 00:00:00 GMT")
    async with serve(page) as remote, world(service(url=remote.url())) as here:
        state = await here.replica()
        assert attempts(state) == 1.0
        assert abs(state.at - time.time()) < 60


async def test_an_empty_page_is_one_without_samples() -> None:
    async with serve(says_page("")) as remote, world(service(url=remote.url())) as here:
        state = await here.replica()
        assert (state.up, state.samples, state.rows) == (True, 0, ())


# -- what is not


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (says(), Reason.CONNECT),
        (answer(500, body=b"no"), Reason.HTTP_STATUS),
        (answer(401), Reason.AUTH),
        (answer(302, "Location: /login"), Reason.REDIRECT),
        (head(200, TEXT, "Content-Length: 100") + b"a 1\n", Reason.DECODE),
        (head(200, TEXT, "Transfer-Encoding: chunked") + b"4\r\na 1\n\r\n9", Reason.DECODE),
        (answer(200, TEXT, "Content-Encoding: gzip", body=bomb(mib=64)), Reason.TOO_LARGE),
        (endless(head(200, TEXT), b"a 1\n" * 1000), Reason.TOO_LARGE),
        (says_page("<html>Log in</html>\n"), Reason.PARSE),
        (says_page(sent(1) + "a_\n"), Reason.PARSE),
        (answer(200, TEXT, body=b'a{x="\xff"} 1\n'), Reason.DECODE),
        (answer(200, "Content-Type: text/plain; charset=utf-7", body=b"a 1\n"), Reason.DECODE),
        (says_page("".join([f"a{i} 1\n" for i in range(100_001)])), Reason.LIMIT),
    ],
    ids=[
        "closed",
        "500",
        "401",
        "redirect",
        "UP4 short",
        "UP4 cut chunk",
        "UP10 bomb",
        "UP9 endless",
        "UP8 page for people",
        "UP12 one bad line",
        "not UTF-8",
        "another character set",
        "CARD1 too many series",
    ],
)
async def test_a_page_that_is_not_whole_brings_nothing_of_it(script: Script | bytes, reason: Reason) -> None:
    async with serve(script) as remote, world(service(url=remote.url()), timeout=30.0) as here:
        state = await here.replica()
        assert (state.up, state.reason, state.samples, state.rows, state.absent) == (False, reason, None, (), ())
        assert state.detail
        assert state.last_success is None


async def test_a_replica_that_hangs_costs_only_itself_and_no_more_than_the_run_has() -> None:
    async with serve(hangs) as silent, serve(says_page(sent(1))) as fine:
        both = service(urls=[silent.url(), fine.url()])
        async with world(both, timeout=0.5) as here:
            begin = time.monotonic()
            (upstream,) = await here.scrape()
            assert time.monotonic() - begin < 0.5
    assert [replica.reason for replica in upstream.replicas] == [Reason.TIMEOUT, None]
    assert upstream.absent == upstream.replicas[1].absent != ()


async def test_when_it_last_went_well_is_remembered() -> None:
    async with serve(each(says_page(sent(1)), answer(500))) as remote, world(service(url=remote.url())) as here:
        good, bad = await here.replica(), await here.replica()
        assert bad.reason is Reason.HTTP_STATUS
        assert bad.last_success == good.last_success is not None


# -- several processes behind one address


async def test_a_load_balancer_is_noticed_and_refused_until_it_is_one_process_for_a_while() -> None:
    pages = [says_page(sent(1, start)) for start in (100, 200, 100, 200, *[200] * 25)]
    async with serve(each(*pages)) as remote, world(service(url=remote.url())) as here:
        reasons = [(await here.replica()).reason for _ in pages]
    assert reasons[:2] == [None, None]  # as after a restart
    assert reasons[2:23] == [Reason.PARTIAL] * 21
    assert reasons[-1] is None


def test_a_restart_or_a_process_that_does_not_say_its_start_is_nothing_to_worry_about() -> None:
    identity = Identity()
    assert not any(identity.mixed(start) for start in (100.0, 100.5, 100.0, None, 200.0, 300.0, None))


# -- one scrape for all


async def test_collectors_of_one_cycle_share_one_scrape_and_the_next_cycle_has_its_own() -> None:
    async with serve(says_page(sent(1))) as remote, world(service(url=remote.url())) as here:
        run = here.run()
        one, two = await asyncio.gather(here.services.scrape(run), here.services.scrape(run))
        assert one is two
        assert await here.services.scrape(run) is one
        assert len(remote.heads) == 1
        await here.scrape()
        assert len(remote.heads) == 2


async def test_cancelling_one_collector_does_not_cost_the_other() -> None:
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(says_page(sent(1)))
        await writer.drain()

    async with serve(slow) as remote, world(service(url=remote.url())) as here:
        run = here.run()
        first, second = (asyncio.create_task(here.services.scrape(run)) for _ in range(2))
        while not remote.heads:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert (await second)[0].replicas[0].up


async def test_when_nobody_waits_any_more_nothing_is_left_running_and_the_next_starts_anew() -> None:
    async with serve(hangs) as remote, world(service(url=remote.url())) as here:
        before = asyncio.all_tasks()
        run = here.run()
        waiting = asyncio.create_task(here.services.scrape(run))
        while not remote.heads:
            await asyncio.sleep(0)
        waiting.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert time.monotonic() - begin < 2.0
        assert {task for task in asyncio.all_tasks() - before if "handle" not in repr(task)} == set()
        here.timeout = 0.2
        again = Run(run.cycle, time.monotonic() + 0.2, run.wall)
        assert (await here.services.scrape(again))[0].replicas[0].reason is Reason.TIMEOUT


# -- where replicas are


async def test_every_address_of_a_name_is_a_replica_and_is_asked_by_that_name() -> None:
    async with serve(says_page(sent(1))) as one, serve_at("127.0.0.2", one.port, says_page(sent(2))) as two:
        dns = {"name": "am.example.org", "port": one.port, "path": "/x"}
        async with world(service(dns=dns), names=resolving_to("127.0.0.2", "127.0.0.1")) as here:
            ((upstream),) = await here.scrape()
        assert [(replica.replica, attempts(replica)) for replica in upstream.replicas] == [
            (f"127.0.0.1:{one.port}", 1.0),
            (f"127.0.0.2:{one.port}", 2.0),
        ]
        for remote in (one, two):
            assert remote.heads[0].startswith(f"GET /x HTTP/1.1\r\nHost: am.example.org:{one.port}\r\n")


@asynccontextmanager
async def serve_at(host: str, port: int, page: bytes) -> AsyncIterator[Remote]:
    remote = Remote(port, "http")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        remote.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(page)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, host, port):
        yield remote


async def test_a_name_over_https_is_verified_as_that_name() -> None:
    async with serve(says_page(sent(1)), tls=server_tls()) as remote:
        tls = {"ca_file": str(TLS / "ca.pem"), "server_name": "localhost"}
        given = service(dns={"name": "am.example.org", "port": remote.port}, tls=tls)
        async with world(given, names=resolving_to("127.0.0.1")) as here:
            assert (await here.replica()).detail == ""
        stranger = service(dns={"name": "am.example.org", "port": remote.port}, tls={"ca_file": str(TLS / "ca.pem")})
        assert tls_options(stranger).server_name == "am.example.org"
        async with world(stranger, names=resolving_to("127.0.0.1")) as here:
            assert (await here.replica()).reason is Reason.TLS


async def test_a_name_that_does_not_resolve_is_one_replica_that_is_down() -> None:
    async with world(service(dns={"name": "am.example.org", "port": 80}), names=resolving_to()) as here:
        state = await here.replica()
        assert (state.replica, state.reason) == ("am.example.org:80", Reason.DNS)


async def test_a_name_that_is_not_resolved_in_time_is_down() -> None:
    async def never(call: Any) -> Any:
        await asyncio.Event().wait()

    async with world(service(dns={"name": "am.example.org", "port": 80}), names=never, timeout=0.1) as here:
        state = await here.replica()
        assert (state.reason, state.detail) == (Reason.DNS, "the host name was not resolved in time")


async def test_a_name_with_too_many_addresses_is_refused() -> None:
    many = [f"10.0.{i // 256}.{i % 256}" for i in range(MOST_REPLICAS + 1)]
    async with world(service(dns={"name": "am.example.org", "port": 80}), names=resolving_to(*many)) as here:
        assert (await here.replica()).reason is Reason.LIMIT


async def test_replicas_on_one_port_are_told_apart() -> None:
    page = says_page(sent(1))
    async with serve(page) as remote, world(service(urls=[remote.url("/a"), remote.url("/b")])) as here:
        (upstream,) = await here.scrape()
    assert [replica.replica for replica in upstream.replicas] == [
        f"127.0.0.1:{remote.port}",
        f"127.0.0.1:{remote.port}#2",
    ]


async def test_a_url_that_cannot_be_used_is_a_replica_that_is_down() -> None:
    async with world(service(url="http://x\u00fc..y/metrics")) as here:
        state = await here.replica()
        assert (state.replica, state.reason, state.detail) == ("unknown", Reason.CONFIG, "the url cannot be used")


async def test_certificates_that_have_gone_since_they_were_checked_cost_the_connection_only(tmp_path: Path) -> None:
    async with serve(says_page(sent(1)), tls=server_tls()) as remote:
        given = service(url=remote.url(host="localhost"), tls={"ca_file": str(tmp_path / "ca.pem")})
        async with world(given) as here:
            assert (await here.replica()).reason is Reason.TLS
            (tmp_path / "ca.pem").write_bytes((TLS / "ca.pem").read_bytes())
            here.watch(given)
            assert (await here.replica()).up


# -- credentials


async def test_credentials_are_sent_and_shown_nowhere(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{CANARY}-one\n")
    async with serve(says_page(sent(1))) as remote:
        url = remote.url(f"/metrics?token={CANARY}")
        basic = service("basic", url=url, basic_auth={"username": "u", "password": CANARY}, headers={"X-Key": CANARY})
        bearer = service("bearer", url=url, bearer_token_file=str(token))
        async with world(basic, bearer) as here:
            states = await here.scrape()
            token.write_text(f"{CANARY}-two")
            await here.scrape()
            token.write_text("")
            failed = (await here.scrape())[1].replicas[0]
            token.unlink()
            gone = (await here.scrape())[1].replicas[0]
        sent_heads = "".join(remote.heads)
        assert f"Authorization: Basic {b64encode(f'u:{CANARY}'.encode()).decode()}" in sent_heads
        assert f"X-Key: {CANARY}" in sent_heads
        assert f"Authorization: Bearer {CANARY}-one" in sent_heads
        assert f"Authorization: Bearer {CANARY}-two" in sent_heads
        assert (failed.reason, failed.detail) == (Reason.CONFIG, "bearer_token_file: is empty")
        assert (gone.reason, gone.detail) == (Reason.CONFIG, "bearer_token_file: no such file")
        assert CANARY not in repr((states, failed, gone, basic, bearer))


async def test_a_token_that_is_not_read_in_time_costs_its_service_and_one_thread(tmp_path: Path) -> None:
    calls = []

    async def never(call: Any) -> Any:
        calls.append(call)
        await asyncio.Event().wait()

    async with world(service(url="http://127.0.0.1:9", bearer_token_file=str(tmp_path)), timeout=0.1) as here:
        here.services._tools = here.services._tools._replace(files=never)
        here.watch()
        here.watch(service(url="http://127.0.0.1:9", bearer_token_file=str(tmp_path)))
        for _ in range(3):
            state = await here.replica()
            assert (state.reason, state.detail) == (Reason.TIMEOUT, "the bearer_token_file was not read in time")
        assert len(calls) == 1


# -- configuration


async def test_a_service_that_stays_the_same_keeps_what_it_knows_and_one_that_goes_is_closed() -> None:
    async with serve(each(says_page(sent(1)))) as remote:
        one, two = service("one", url=remote.url()), service("two", url=remote.url())
        async with world(one, two) as here:
            await here.scrape()
            assert remote.connections == 2
            here.watch(service("one", url=remote.url()), service("two", url=remote.url("/other")))
            first, second = await here.scrape()
            assert remote.connections == 3
            assert first.replicas[0].up
            assert second.replicas[0].up
            here.watch()
            assert await here.scrape() == ()
            await asyncio.sleep(0.05)
            assert remote.open == 0


async def test_a_page_that_is_not_read_in_time_costs_its_replica() -> None:
    async with serve(says_page(sent(1))) as remote, world(service(url=remote.url()), timeout=0.5) as here:
        await here.scrape()
        replica = here.services._services[0]._replicas[f"127.0.0.1:{remote.port}"]
        with replica._reading:  # as if the one before were still being read
            state = await here.replica()
        assert (state.reason, state.detail) == (Reason.TIMEOUT, "the page was not read in time")
        assert (await here.replica()).up


async def test_what_nobody_foresaw_costs_one_service() -> None:
    async def broken(call: Any) -> Any:
        raise KeyError("c4n4ry")

    async with serve(says_page(sent(1))) as remote:
        named = service("named", dns={"name": "am.example.org", "port": 80})
        async with world(service(url=remote.url()), named, names=broken) as here:
            fine, lost = await here.scrape()
    assert fine.replicas[0].up
    assert (lost.replicas[0].reason, lost.replicas[0].detail) == (Reason.INTERNAL, "KeyError")


async def test_what_nobody_foresaw_costs_one_replica() -> None:
    async with serve(says_page(sent(1))) as remote, world(service(url=remote.url())) as here:
        await here.scrape()
        replica = here.services._services[0]._replicas[f"127.0.0.1:{remote.port}"]
        replica._parser = None  # type: ignore[assignment]
        state = await here.replica()
        assert (state.reason, state.detail) == (Reason.INTERNAL, "AttributeError")


def test_the_target_map_is_told_with_the_state() -> None:
    text = "publishing_services:\n  - {name: a, url: 'http://x', dialect: vmalert, target_map: {there: here}}\n"
    loaded = parse(text, "test", Path(), {}, {})
    assert loaded.config.publishing_services[0].target_map == {"there": "here"}
    assert set(loaded.dialects) == {"vmalert"}
