"""The daemon in this process: what is served, what a reload keeps, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest

from exporter.app.daemon import Daemon
from exporter.app.settings import Flags
from exporter.config.loader import ConfigError
from tests.fakes.bodies import each
from tests.fakes.remote import answer as http
from tests.fakes.remote import serve

BASE = "cycle: {interval: 500ms, timeout: 400ms}\nweb: {listen_addresses: ['127.0.0.1:0'], enable_lifecycle: true}\n"

TAKEN = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGQUIT]


@asynccontextmanager
async def running(file: Path, text: str, base: str = BASE) -> AsyncIterator[tuple[Daemon, aiohttp.ClientSession]]:
    """A daemon that listens and has made its first snapshot."""
    file.write_text(base + text)
    kept = {number: signal.getsignal(number) for number in TAKEN}
    daemon = Daemon(Flags(config_file=file), {})
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(daemon.serve(lambda addresses: listening.set_result(addresses[0])))
    try:
        waiting: list[asyncio.Future[Any]] = [serving, listening]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        async with aiohttp.ClientSession(f"http://{listening.result()}") as session:
            async with asyncio.timeout(10):
                while (await session.get("/-/ready")).status != 200:
                    await asyncio.sleep(0.01)
            yield daemon, session
        if not daemon.failed:
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            await serving
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await serving
        for number, handler in kept.items():
            signal.signal(number, handler)


async def page(session: aiohttp.ClientSession) -> str:
    async with session.get("/metrics") as answer:
        return await answer.text()


async def until(session: aiohttp.ClientSession, *fragments: str, absent: str = "\0") -> str:
    async with asyncio.timeout(10):
        while True:
            text = await page(session)
            if all(fragment in text for fragment in fragments) and absent not in text:
                return text
            await asyncio.sleep(0.02)


def target(name: str, url: str) -> str:
    return f"{{name: {name}, type: webhook, url: '{url}'}}"


async def test_a_target_is_probed_and_shown(tmp_path: Path) -> None:
    """From a line of configuration to a series."""
    async with (
        serve(http(200)) as receiver,
        running(tmp_path / "c", f"targets: {{static: [{target('a', receiver.url())}]}}") as (
            _,
            session,
        ),
    ):
        text = await until(session, 'publishing_health_status{target="a",type="webhook"} 1.0')
        assert "platform_exporter_build_info" in text


async def test_a_target_is_probed_on_request_and_a_snapshot_tells_at_once(tmp_path: Path) -> None:
    """Though no cycle is due for a long time; and nothing is probed where the collector is off."""
    file, path = tmp_path / "c", "/api/v2/publishing/targets/health/a/check"
    base = BASE.replace("interval: 500ms", "interval: 10m")
    async with serve(http(200)) as receiver:
        text = f"targets: {{static: [{target('a', receiver.url())}]}}\n"
        async with running(file, text, base) as (_, session):
            await until(session, 'health_checks_total{target="a",outcome="success"} 1')
            async with session.post(path) as answer:
                assert (answer.status, (await answer.json())["total_checks"]) == (200, 2)
            await until(session, 'health_checks_total{target="a",outcome="success"} 2')
        off = f"{text}collectors: {{health: {{enabled: false}}}}"
        async with running(file, off, base) as (_, session), session.post(path) as answer:
            assert answer.status == 404
    assert receiver.connections == 2


async def test_the_targets_are_told_and_refreshed_on_request(tmp_path: Path) -> None:
    """From a line of configuration to what another Prometheus finds."""
    async with running(tmp_path / "c", f"targets: {{static: [{target('a', 'http://127.0.0.1:9')}]}}") as (_, session):
        async with asyncio.timeout(10):
            while (await session.get("/sd/targets")).status != 200:
                await asyncio.sleep(0.02)
        async with session.get("/sd/targets") as answer:
            assert [group["targets"] for group in await answer.json()] == [["127.0.0.1:9"]]
        statuses = []
        for _ in range(2):
            async with session.post("/api/v2/publishing/targets/refresh") as answer:
                statuses.append(answer.status)
        assert statuses[0] == 202
        assert statuses[1] in (429, 503)


async def test_a_reload_swaps_targets_and_keeps_the_rest(tmp_path: Path) -> None:
    """The new target appears, the old one goes, and what did not change goes on counting."""
    file = tmp_path / "c"
    async with serve(http(200)) as receiver:
        a, b = target("a", receiver.url()), target("b", receiver.url())
        async with running(file, f"targets: {{static: [{a}]}}") as (daemon, session):
            await until(session, 'health_status{target="a"')
            before = daemon.engine.feed.current()
            file.write_text(BASE + f"targets: {{static: [{b}]}}")
            async with session.post("/-/reload?dry_run=1") as answer:
                assert await answer.json() == {"changes": ["targets.static"], "applied": False}
            assert 'target="a"' in await page(session)
            async with session.post("/-/reload") as answer:
                assert await answer.json() == {"changes": ["targets.static"], "applied": True}
            text = await until(session, 'health_status{target="b"', absent='target="a"')
            assert before is not None
            assert "platform_exporter_config_last_reload_successful 1" in text


async def test_a_bad_reload_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """The last good configuration stays, and the metric tells."""
    file = tmp_path / "c"
    async with running(file, "") as (_, session):
        file.write_text(BASE + "cycle: {interval: never}\nnonsense: 1")
        async with session.post("/-/reload") as answer:
            assert answer.status == 400
            assert len((await answer.json())["error"]["problems"]) >= 2
        await until(session, "platform_exporter_config_last_reload_successful 0")
        file.write_text(BASE)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(session, "platform_exporter_config_last_reload_successful 1")


async def test_a_changed_file_is_taken_over_by_itself(tmp_path: Path) -> None:
    """Nobody has to send a signal."""
    file = tmp_path / "c"
    async with serve(http(200)) as receiver, running(file, "") as (_, session):
        file.write_text(BASE + f"targets: {{static: [{target('late', receiver.url())}]}}")
        await until(session, 'health_status{target="late"')


async def test_what_needs_a_restart_is_refused(tmp_path: Path) -> None:
    """The listener never closes."""
    file = tmp_path / "c"
    async with running(file, "") as (_, session):
        file.write_text(BASE.replace("127.0.0.1:0", "127.0.0.1:1"))
        async with session.post("/-/reload?dry_run=1") as answer:
            assert answer.status == 400
            problem = (await answer.json())["error"]["problems"][0]
            assert problem["path"] == "web.listen_addresses"
            assert "restart" in problem["message"]


async def test_a_changed_interval_moves_the_grid(tmp_path: Path) -> None:
    """Collectors that depend on the tick are built anew; the daemon goes on."""
    file = tmp_path / "c"
    async with serve(http(200)) as receiver:
        targets = f"targets: {{static: [{target('a', receiver.url())}]}}"
        async with running(file, targets) as (_, session):
            await until(session, 'health_status{target="a"')
            file.write_text((BASE + targets).replace("500ms", "1s"))
            async with session.post("/-/reload") as answer:
                assert (await answer.json())["changes"] == ["cycle.interval"]
            await until(session, 'health_status{target="a"')


async def test_a_plugin_that_cannot_be_loaded_costs_only_itself(tmp_path: Path) -> None:
    """It is listed with its reason."""
    async with running(tmp_path / "c", "plugins: [ghost]\n") as (_, session):
        text = await until(session, 'platform_exporter_collector_errors_total{collector="ghost",reason="config"} 1')
        assert 'platform_exporter_collector_up{collector="health"} 1' in text


async def test_an_address_in_use_is_an_error(tmp_path: Path) -> None:
    """The message names the address."""
    async with running(tmp_path / "c", "") as (_, session):
        taken = str(session._base_url).removeprefix("http://").rstrip("/")
        other = Daemon(Flags(config_text="log: {level: info}", listen_addresses=(taken,)), {})
        with pytest.raises(OSError, match=taken):
            await other.serve()


async def test_a_part_that_dies_takes_the_daemon_with_it(tmp_path: Path) -> None:
    """Being started anew beats living on without cycles."""
    async with running(tmp_path / "c", "") as (daemon, _):

        async def die() -> None:
            raise RuntimeError

        daemon._keep(die())
        async with asyncio.timeout(5):
            await daemon._stop.wait()
        assert daemon.failed


async def test_COL15_handlers_and_logging_are_taken_back(tmp_path: Path) -> None:
    """Else nobody could stop it any more."""
    async with running(tmp_path / "c", "") as (_, session):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        logging.disable(logging.CRITICAL)
        await until(session, 'platform_exporter_log_messages_total{level="warn"} 1')
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN


async def test_a_file_that_was_missing_mends_the_reload_when_it_comes(tmp_path: Path) -> None:
    """A secret that is mounted late is noticed."""
    file, secret = tmp_path / "c", tmp_path / "late.url"
    async with serve(http(200)) as receiver, running(file, "") as (_, session):
        file.write_text(BASE + "targets: {static: [{name: late, type: webhook, url_file: late.url}]}")
        await until(session, "platform_exporter_config_last_reload_successful 0")
        secret.write_text(receiver.url())
        await until(session, 'health_status{target="late"', "platform_exporter_config_last_reload_successful 1")


async def test_collectors_that_clash_are_refused_before_anything_runs(tmp_path: Path) -> None:
    """A configuration that cannot become one page is wrong as a whole."""
    with pytest.raises(ConfigError):
        Daemon(Flags(config_text="metric_prefix: platform_exporter\nnonsense: 1"), {})
    ca = tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match="ca_file"):
        Daemon(Flags(config_text=f"collectors: {{health: {{tls: {{ca_file: {ca}}}}}}}"), {})


WEB = f"basic_auth_users: {{ann: {bcrypt.hashpw(b'open sesame', bcrypt.gensalt(4)).decode()}}}\n"


def login(user: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(user, "open sesame")}


async def test_the_web_configuration_is_read_again_with_the_rest(tmp_path: Path) -> None:
    """A mistake in either is told, and then nothing changes."""
    file, web = tmp_path / "c", tmp_path / "web.yml"
    web.write_text(WEB)
    file.write_text(BASE.replace("web: {", "web: {config_file: web.yml, "))
    async with running(file, "", file.read_text()) as (daemon, session):
        assert daemon._settings.watched == (file,)
        assert (await session.get("/metrics")).status == 401
        async with session.post("/-/reload", headers=login("ann")) as answer:
            assert await answer.json() == {"changes": [], "applied": True}
        web.write_text("rate_limit: {}")
        file.write_text(file.read_text().replace("500ms", "600ms"))
        for query in ("?dry_run=1", ""):
            async with session.post(f"/-/reload{query}", headers=login("ann")) as answer:
                problems = (await answer.json())["error"]["problems"]
                assert (answer.status, [problem["path"] for problem in problems]) == (400, ["rate_limit"])
        web.write_text(WEB.replace("ann", "bob"))
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while (await session.get("/metrics", headers=login("bob"))).status != 200:
                await asyncio.sleep(0.02)
        assert (await session.get("/metrics", headers=login("ann"))).status == 401


async def test_a_web_configuration_with_mistakes_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    """Better not to listen than to let everybody in."""
    (tmp_path / "web.yml").write_text("basic_auth_users: {ann: secret}")
    for path, words in (("web.yml", "bcrypt hash"), ("gone.yml", "cannot read the web configuration")):
        with pytest.raises(ConfigError, match=words):
            Daemon(Flags(web_config_file=tmp_path / path), {})


async def test_listening_for_everybody_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Off loopback, and only without authentication."""
    (tmp_path / "web.yml").write_text(WEB)
    for web, addresses, warned in (
        (None, ("127.0.0.1:0", "[::1]:0"), 0),
        (None, ("127.0.0.1:0", "0.0.0.0:0"), 1),
        (None, (":0",), 1),
        (tmp_path / "web.yml", ("0.0.0.0:0",), 0),
    ):
        caplog.clear()
        daemon = Daemon(Flags(listen_addresses=addresses, web_config_file=web), {})
        await daemon._server.start(addresses)
        daemon._warn_of_open_doors()
        await daemon._server.stop(1.0)
        assert caplog.text.count("anybody who reaches this address") == warned


async def test_a_service_is_watched_as_its_mapping_says_and_follows_a_change_of_it(tmp_path: Path) -> None:
    """From a line of configuration to a series, and from a changed mapping to another, by itself."""
    mapping = tmp_path / "mailer.yaml"
    mapping.write_text("rules: [{family: queue_size, series: backlog}]")
    services = "publishing_services: [{name: m, url: 'URL', dialect: mailer.yaml}]"
    script = each(http(200, body=b"backlog 3\nsent_total 4\n"))
    async with serve(script) as remote, running(tmp_path / "c", services.replace("URL", remote.url())) as (_, session):
        at = f'upstream="m",replica="127.0.0.1:{remote.port}"'
        await until(session, f'publishing_queue_size{{priority="",{at}}} 3.0', f"publishing_upstream_up{{{at}}} 1.0")
        mapping.write_text("rules: [{family: dlq_size, series: backlog}]")
        await until(session, f'publishing_dlq_size{{target="",{at}}} 3.0', absent="publishing_queue_size")
        mapping.write_text("rules: [{family: dlq_sise, series: backlog}]")
        await until(session, "config_last_reload_successful 0", "publishing_dlq_size")


async def test_services_come_and_go_with_a_reload(tmp_path: Path) -> None:
    """Without one the collectors are switched off, as there is nothing to watch."""
    file = tmp_path / "c"
    script = each(http(200, body=b"vmalert_alerts_sent_total 1\n"))
    async with serve(script) as remote, running(file, "log: {level: info}") as (_, session):
        assert "publishing_upstream_up" not in await page(session)
        services = f"publishing_services: [{{name: vm, url: '{remote.url()}', dialect: vmalert}}]"
        file.write_text(BASE + services)
        async with session.post("/-/reload") as answer:
            assert await answer.json() == {"changes": ["publishing_services"], "applied": True}
        await until(session, "publishing_upstream_up{", "publishing_publisher_attempts_total{")
        file.write_text(BASE + "publishing_services: []")
        async with session.post("/-/reload") as answer:
            assert await answer.json() == {"changes": ["publishing_services"], "applied": True}
        await until(session, absent="publishing_upstream_up{")


async def test_a_service_whose_certificates_are_of_no_use_is_refused(tmp_path: Path) -> None:
    """Before anything runs, with its place."""
    file = tmp_path / "c"
    (tmp_path / "ca.pem").write_text("nothing")
    file.write_text("publishing_services: [{name: vm, url: 'https://x', dialect: vmalert, tls: {ca_file: ca.pem}}]")

    async def start() -> None:
        Daemon(Flags(config_file=file), {})

    with pytest.raises(ConfigError, match=r"publishing_services\[0\].tls: tls.ca_file cannot be read"):
        await start()
