"""A site behind a web configuration file: nothing is reached without credentials, and renewing it costs nothing."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter.config.loader import ConfigError
from exporter.engine.threads import DaemonPool
from exporter.instruments.meter import Meter
from exporter.web.access import Access
from exporter.web.events import Events
from exporter.web.middleware import OPEN
from exporter.web.routes import table
from tests.fakes.authority import Authority, Pair
from tests.web.conftest import Clock, Home, Running, serving, snapshot

HASH = "$2y$04$W.x6UJ3nKDrZ65d98eSMy.nm1MrgiWjv8GNzD5n0HP3fzL1gp9wm6"
REQUIRED = "RequireAndVerifyClientCert"
EXPIRED = Path(__file__).parents[1] / "fakes" / "tls" / "expired.pem"
RELOADED, EXPIRY = "web_config_last_reload_successful", "tls_certificate_expiry_timestamp_seconds"


class Now(Clock):
    """The real time: certificates are judged by it."""

    def wall(self) -> float:
        return time.time() + self.passed


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def servers(authority: Authority) -> list[Pair]:
    """A pair, its renewal, and one with a key of another kind."""
    return [authority.issue("first"), authority.issue("second", days=700), authority.issue("third", rsa=True)]


class Files:
    """A folder with a web configuration, its certificate and its key."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        self.web = folder / "web.yml"
        self.cert, self.key, self.ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"
        self.ca.write_text(authority.file.read_text())

    def users(self, **users: str) -> None:
        self.web.write_text("basic_auth_users:\n" + "".join(f"  {name}: {hash}\n" for name, hash in users.items()))

    def tls(self, pair: Pair, *more: str) -> None:
        self.put(pair)
        lines = ["tls_server_config:", "cert_file: tls.crt", "key_file: tls.key", *more]
        self.web.write_text("\n  ".join(lines) + "\n")

    def clients(self, pair: Pair, *more: str) -> None:
        self.tls(pair, "client_ca_file: ca.crt", f"client_auth_type: {REQUIRED}", *more)

    def put(self, pair: Pair) -> None:
        cert, key = pair.texts
        self.cert.write_text(cert)
        self.key.write_text(key)

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.file)
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    return Files(tmp_path, authority)


def opened(path: Path | None, meter: Meter | None = None) -> Access:
    return Access(path, DaemonPool("files", 1), DaemonPool("logins", 1), Now(), meter or Meter())


@asynccontextmanager
async def behind(path: Path, **more: Any) -> AsyncIterator[tuple[Running, Access]]:
    meter = Meter()
    access = opened(path, meter)
    async with serving(access=access, meter=meter, **more) as site:
        site.feed.publish(snapshot())
        yield site, access


def gauge(access: Access, name: str) -> float | None:
    cells = (access._successful if name == RELOADED else access._expiry)._cells
    return next((cell.value for cell in cells.values()), None)


def login(user: str = "ann", password: str = "open sesame") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


# -- nothing without credentials

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LOCK")


def tricks(path: str) -> list[str]:
    """The path, and what might be taken for it."""
    slashed = path.rstrip("/")
    return [
        path,
        f"{slashed}/",
        f"/{path}",
        f"//{path}",
        path.replace("/", "//"),
        path.replace("/", "/./"),
        f"/x/..{path}",
        f"/-/healthy/..{path}",
        f"/-/healthy/%2e%2e{path}",
        f"/-/healthy?{path}",
        path.upper(),
        path.replace("/", "%2F"),
        f"/{path[1:].replace('/', '%2F')}",
        f"{path}%00",
        f"{path};/-/healthy",
        f"{path}?/-/healthy",
        f"{path}#/-/healthy",
        f"{path}%20",
        f"{path}.",
        f"http://elsewhere.example{path}",
    ]


async def asked(
    site: Running, method: str, target: str, *headers: str, tls: ssl.SSLContext | None = None
) -> tuple[int, str]:
    """The answer to a request that is sent byte by byte as it stands: no client tidies it up."""
    host, _, port = site.address.rpartition(":")
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=tls, server_hostname="localhost" if tls else None
    )
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 0", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


@pytest.mark.parametrize("prefix", ["", "/deep"])
@pytest.mark.parametrize("wanted", ["users", "certificates"])
async def test_no_route_and_no_method_answers_without_credentials(
    files: Files, servers: list[Pair], wanted: str, prefix: str
) -> None:
    """Every route of the table, by every method, and by every spelling of its path."""
    files.clients(servers[0]) if wanted == "certificates" else files.users(ann=HASH)
    tls = files.client() if wanted == "certificates" else None
    refusal = 403 if wanted == "certificates" else 401
    home = Home()
    async with behind(files.web, enable_lifecycle=True, route_prefix=prefix, canaries=home) as (site, _):
        routes = table(site.site, Events(site.site))
        assert len(routes) >= 16
        spelled = {prefix + route.path.replace("{name}", name) for route in routes for name in ("ops", "a%2Fb/0")}
        paths = sorted(spelled | {prefix or "/", "/", "/nowhere"})
        open_paths = {prefix + path for path in OPEN}
        for path in paths:
            for method in METHODS:
                for target in tricks(path) if method in ("GET", "POST") else [path]:
                    status, body = await asked(site, method, target, tls=tls)
                    if path in open_paths or target.partition("?")[0] in open_paths:
                        assert status != 200 or body in ("", "healthy\n", "ready\n"), (method, target)
                    else:
                        assert status in (refusal, 400), (method, target, status)
            if path not in open_paths:
                assert (await asked(site, "GET", path, tls=tls))[0] == refusal
        assert (site.reloads, site.refreshes, site.checks, home.returned_ids) == ([], [], [], [])
        overridden = await asked(site, "POST", f"{prefix}/-/reload", "X-HTTP-Method-Override: GET", tls=tls)
        assert overridden[0] == refusal


async def test_what_is_open_tells_nothing_but_its_state(files: Files) -> None:
    files.users(ann=HASH)
    async with behind(files.web) as (site, _):
        assert await site.get("/-/healthy") == (200, "healthy\n")
        assert await site.get("/-/ready") == (200, "ready\n")


async def test_with_credentials_everything_is_as_without_a_file(files: Files) -> None:
    files.users(ann=HASH)
    async with behind(files.web, enable_lifecycle=True) as (site, access):
        assert access.authenticates
        for path in ("/", "/metrics", "/openapi.json"):
            assert (await site.get(path, headers=login()))[0] == 200
        assert (await site.get("/nowhere", headers=login()))[0] == 404
        async with site.client.post(site.url("/-/reload"), headers=login()) as answer:
            assert answer.status == 200
        async with site.client.post(
            site.url("/-/reload"), headers=login() | {"Origin": "http://evil.example"}
        ) as answer:
            assert answer.status == 403
        async with site.client.get(site.url("/metrics"), headers=login(password="wrong")) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "unauthorized")
        assert site.counted()["/metrics", "GET", "401"] == 1
        assert not [key for key in site.counted() if "ann" in key]


async def test_without_a_file_nothing_is_asked(site: Running) -> None:
    assert site.server._connections._handler._access is None  # type: ignore[attr-defined]
    access = opened(None)
    assert (access.configured, access.authenticates, access.scheme, await access.reload()) == (False, False, "http", ())
    await access.run()


# -- client certificates


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ("DNS:prometheus.example", True),
        ("IP:10.0.0.7", True),
        ("IP:2001:db8::7", True),
        ("URI:spiffe://example/prometheus", True),
        ("email:ops@example.org", True),
        ("DNS:elsewhere.example,URI:spiffe://example/prometheus", True),
        ("DNS:sub.prometheus.example", False),
        ("DNS:*.example", False),
        ("DNS:spiffe.example", False),
    ],
)
async def test_of_verified_clients_only_those_on_the_list_come_in(
    files: Files, servers: list[Pair], names: str, allowed: bool
) -> None:
    listed = "[prometheus.example, 10.0.0.7, '2001:0db8::7', 'spiffe://example/prometheus', ops@example.org]"
    files.clients(servers[0], f"client_allowed_sans: {listed}")
    client = files.client(files.authority.issue("client", names))
    async with behind(files.web) as (site, access):
        assert access.authenticates
        async with site.client.get(site.url("/metrics"), ssl=client) as answer:
            assert answer.status == (200 if allowed else 403)
            if not allowed:
                assert (await answer.json())["error"]["code"] == "certificate_not_allowed"
                assert answer.headers["Connection"] == "close"
        assert (await site.get("/-/ready", ssl=client))[0] == 200
        assert (await site.get("/-/ready", ssl=files.client()))[0] == 200
        assert (await site.get("/metrics", ssl=files.client()))[0] == 403


async def test_a_certificate_may_be_shown_or_not_where_it_is_not_required(files: Files, servers: list[Pair]) -> None:
    files.tls(servers[0], "client_ca_file: ca.crt", "client_auth_type: VerifyClientCertIfGiven")
    async with behind(files.web) as (site, access):
        assert not access.authenticates
        assert (await site.get("/metrics", ssl=files.client()))[0] == 200
        assert (await site.get("/metrics", ssl=files.client(servers[1])))[0] == 200


async def test_users_and_certificates_together_are_both_needed(files: Files, servers: list[Pair]) -> None:
    files.clients(servers[0])
    files.web.write_text(files.web.read_text() + f"basic_auth_users: {{ann: {HASH}}}\n")
    client = files.client(servers[1])
    async with behind(files.web) as (site, _):
        assert (await site.get("/metrics", ssl=client))[0] == 401
        assert (await site.get("/metrics", ssl=client, headers=login()))[0] == 200
        assert (await site.get("/metrics", ssl=files.client(), headers=login()))[0] == 403


async def test_other_authorities_count_for_connections_that_are_open_too(
    files: Files, servers: list[Pair], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Authority(tmp_path_factory.mktemp("other"), "other")
    files.clients(servers[0])
    old, new = files.client(servers[1]), files.client(other.issue("client"))
    async with behind(files.web) as (site, access):
        assert (await site.get("/metrics", ssl=old))[0] == 200
        files.ca.write_text(other.file.read_text())
        assert await access.reload() == ()
        async with site.client.get(site.url("/metrics"), ssl=old) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "certificate_outdated")
        assert (await site.get("/metrics", ssl=new))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await site.get("/metrics", ssl=old)


# -- headers


async def test_headers_of_the_file_are_on_every_answer(files: Files) -> None:
    files.web.write_text(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=60, X-Frame-Options: sameorigin,"
        " Content-Security-Policy: ''}}\n"
    )
    async with behind(files.web) as (site, access):
        assert not access.authenticates
        for path in ("/", "/metrics", "/metrics", "/metrics?name[]=x", "/-/healthy", "/nowhere", "/events"):
            async with site.client.get(site.url(path)) as answer:
                assert answer.headers["Strict-Transport-Security"] == "max-age=60", path
                assert answer.headers.getall("X-Frame-Options") == ["sameorigin"], path
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
                if path == "/metrics":
                    assert (await answer.text()).endswith("\n")
        files.web.write_text("http_server_config: {}\n")
        await access.reload()
        async with site.client.get(site.url("/metrics")) as answer:
            assert "Strict-Transport-Security" not in answer.headers
            assert answer.headers["X-Frame-Options"] == "DENY"


# -- renewing


async def subject(site: Running, files: Files) -> str:
    host, _, port = site.address.rpartition(":")
    context = files.client()
    context.check_hostname = False
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    name: str = writer.get_extra_info("peercert")["subject"][0][0][1]
    writer.close()
    return name


async def test_a_half_replaced_pair_leaves_the_old_one_in_use(
    files: Files, servers: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second, third = servers
    files.tls(first)
    async with behind(files.web) as (site, access):
        begin = gauge(access, EXPIRY)
        assert gauge(access, RELOADED) == 1.0
        for half in (second.cert, third.cert):
            files.cert.write_text(half.read_text())
            for _ in range(3):
                [problem] = await access.reload()
                assert "tls_server_config.cert_file: the certificate and the key do not belong" in str(problem)
            assert await subject(site, files) == "first"
            assert (gauge(access, RELOADED), gauge(access, EXPIRY)) == (0.0, begin)
        assert len([record for record in caplog.records if "refused" in record.getMessage()]) == 1
        files.put(second)
        assert await access.reload() == ()
        assert await subject(site, files) == "second"
        assert gauge(access, RELOADED) == 1.0
        assert (gauge(access, EXPIRY) or 0) > (begin or 0)
        files.put(third)
        await access.reload()
        assert await subject(site, files) == "third"
        assert len([record for record in caplog.records if "reloaded" in record.getMessage()]) == 2


async def test_an_open_connection_outlives_a_new_certificate(files: Files, servers: list[Pair]) -> None:
    files.tls(servers[0])
    async with behind(files.web) as (site, access):
        host, _, port = site.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=files.client(), server_hostname="localhost")
        for pair in servers:
            writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(5):
                assert (await reader.readuntil(b"healthy\n")).startswith(b"HTTP/1.1 200 ")
            files.put(pair)
            assert await access.reload() == ()
        assert await subject(site, files) == "third"
        writer.close()


@pytest.mark.parametrize("what", ["gone", "empty", "half", "a folder", "garbage"])
async def test_a_key_that_cannot_be_read_leaves_the_old_pair_in_use(
    files: Files, servers: list[Pair], what: str
) -> None:
    files.tls(servers[0])
    async with behind(files.web) as (site, access):
        text = files.key.read_text()
        files.key.unlink()
        if what == "a folder":
            files.key.mkdir()
        elif what != "gone":
            files.key.write_text({"empty": "", "half": text[:100], "garbage": "\0\udcff"}[what], errors="surrogatepass")
        assert len(await access.reload()) == 1
        assert await subject(site, files) == "first"
        files.key.rmdir() if what == "a folder" else files.key.unlink(missing_ok=True)
        files.key.write_text(text)
        assert await access.reload() == ()


async def test_an_expired_certificate_does_not_replace_a_good_one(files: Files, servers: list[Pair]) -> None:
    files.tls(servers[0])
    async with behind(files.web) as (site, access):
        files.put(Pair(EXPIRED, EXPIRED))
        [problem] = await access.reload()
        assert "has expired" in problem.message
        assert await subject(site, files) == "first"


async def test_an_expired_certificate_is_served_when_there_is_no_other(
    files: Files, servers: list[Pair], caplog: pytest.LogCaptureFixture
) -> None:
    files.tls(Pair(EXPIRED, EXPIRED))
    async with behind(files.web) as (site, access):
        assert caplog.text == ""  # nobody listens to the log before the daemon runs
        following = asyncio.create_task(access.run())
        await asyncio.sleep(0)
        following.cancel()
        assert caplog.text.count("has expired") == 1
        assert gauge(access, EXPIRY) == 1609459200.0
        files.put(servers[0])
        assert await access.reload() == ()
        assert await subject(site, files) == "first"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda files, pair: files.users(ann=HASH), "tls_server_config"),
        (lambda files, pair: files.clients(pair), "basic_auth_users"),
        (lambda files, pair: files.web.write_text(""), ""),
        (lambda files, pair: files.web.write_text("basic_auth_users:\n"), "basic_auth_users"),
        (lambda files, pair: files.web.unlink(), ""),
    ],
    ids=["no TLS", "no users", "empty", "half a line", "gone"],
)
async def test_a_file_that_would_open_the_door_is_refused(
    files: Files, servers: list[Pair], change: Callable[[Files, Pair], None], path: str
) -> None:
    """It may be half written: a door must not stand open for the seconds that takes."""
    files.clients(servers[0])
    files.web.write_text(files.web.read_text() + f"basic_auth_users: {{ann: {HASH}}}\n")
    async with behind(files.web) as (site, access):
        change(files, servers[0])
        problems = await access.reload()
        assert path in [problem.path for problem in problems]
        assert (await site.get("/metrics", ssl=files.client(servers[1])))[0] == 401


async def test_certificates_that_were_required_stay_so(files: Files, servers: list[Pair]) -> None:
    files.clients(servers[0])
    async with behind(files.web) as (_, access):
        files.tls(servers[0])
        [problem] = await access.reload()
        assert "restart" in problem.message


async def test_a_list_of_names_is_not_dropped(files: Files, servers: list[Pair]) -> None:
    files.clients(servers[0], "client_allowed_sans: [a, b]")
    async with behind(files.web) as (_, access):
        files.clients(servers[0], "client_allowed_sans: [c]")
        assert await access.reload() == ()
        files.clients(servers[0])
        [problem] = await access.reload()
        assert "restart" in problem.message


async def test_tls_cannot_be_switched_on_while_it_runs(files: Files, servers: list[Pair]) -> None:
    files.users(ann=HASH)
    async with behind(files.web) as (_, access):
        files.tls(servers[0])
        [problem] = await access.reload()
        assert "cannot be switched on" in problem.message


async def test_new_users_count_at_once_and_old_ones_no_more(files: Files) -> None:
    files.users(ann=HASH)
    async with behind(files.web) as (site, access):
        assert (await site.get("/metrics", headers=login()))[0] == 200
        files.users(bob=HASH)
        assert await access.reload(dry_run=True) == ()
        assert (await site.get("/metrics", headers=login()))[0] == 200
        assert await access.reload() == ()
        assert (await site.get("/metrics", headers=login()))[0] == 401
        assert (await site.get("/metrics", headers=login("bob")))[0] == 200


async def test_a_reload_that_changes_no_user_forgets_no_login(files: Files, servers: list[Pair]) -> None:
    files.tls(servers[0])
    files.web.write_text(files.web.read_text() + f"basic_auth_users: {{ann: {HASH}}}\n")
    async with behind(files.web) as (_, access):
        assert access._rules is not None
        before = access._rules.basic
        files.put(servers[1])
        assert await access.reload() == ()
        assert access._rules.basic is before


async def test_a_dry_run_only_tells(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    files.users(ann=HASH)
    async with behind(files.web) as (_, access):
        files.web.write_text("x: 1")
        assert len(await access.reload(dry_run=True)) == 1
        assert gauge(access, RELOADED) == 1.0
        assert "refused" not in caplog.text


async def test_files_are_watched_and_one_that_was_missing_is_noticed(files: Files, servers: list[Pair]) -> None:
    files.tls(servers[0])
    async with behind(files.web) as (site, access):
        access._watch._interval = 0.05
        following = asyncio.create_task(access.run())
        try:
            async with asyncio.timeout(10):
                files.put(servers[1])
                while await subject(site, files) != "second":
                    await asyncio.sleep(0.02)
                files.tls(servers[1], "client_ca_file: late.crt", f"client_auth_type: {REQUIRED}")
                while gauge(access, RELOADED):
                    await asyncio.sleep(0.02)
                (files.folder / "late.crt").write_text(files.ca.read_text())
                while not access.authenticates:
                    await asyncio.sleep(0.02)
        finally:
            following.cancel()


def test_users_without_the_package_are_refused_with_the_command_that_helps(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.users(ann=HASH)
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(ConfigError, match=r"basic_auth_users: .*pip install 'platform-exporter\[auth\]'"):
        opened(files.web)
    files.web.write_text("http_server_config: {}\n")
    assert opened(files.web).configured
