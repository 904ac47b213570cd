"""Whoever connects: slow, many, malformed, hostile, gone. None slows a scrape, and each costs a line at most."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.faults.clients import Client, Said, ask, get
from tests.faults.page import Page
from tests.faults.process import CHECKOUT, Daemon, free_port, python_path, until
from tests.faults.scene import Config, Scene
from tests.programs import program

pytestmark = pytest.mark.slow

HEAD, WRITE, GRACE = 10.0, 30.0, 5.0  # what the daemon allows, and what a sweep and a busy machine add
MARK = "zqReflected5"
REQUESTS, DROPPED = "platform_exporter_http_requests_total", "http_connections_dropped_total"
MALFORMED = "a request is malformed"
SERIES = 120_000  # a page of more megabytes than the system holds for a reader


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """Processes started in this block may have so many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def large(scene: Scene) -> Config:
    """A daemon with a page of several megabytes, made once."""
    config = scene.config("one")
    config["collectors"]["one"] = {"interval": "1h", "blocking": True, "timeout": "30s"}
    config["limits"] = {"series_per_collector": SERIES, "series_total": 2 * SERIES}
    scene.mood(one=f"many:{SERIES}")
    return config


def start_large(scene: Scene) -> Daemon:
    daemon = scene.start(large(scene))
    scene.page_with(lambda page: f'"{SERIES - 1}"' in page.text, 20.0, "the large page")
    return daemon


def answered(page: Page, **labels: str) -> float:
    return page.total(REQUESTS, **labels)


# -- slow, and many


def test_WEB1_slow_headers_are_cut_off_and_slow_bodies_are_not_waited_for(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    with scene.fault():
        silent, dripping = Client(daemon.port, b"GET /metrics HT"), Client(daemon.port, b"GET /metrics HTTP/1.1\r\n")
        body = ask(daemon.port, get("/-/reload", "Content-Length: 1000", method="POST") + b"x", to_the_end=True)
        assert (body.status, body.closed) == (400, True)
        assert body.seconds < GRACE
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                dripping.send(b"X-A: b\r\n")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        for client in (silent, dripping):
            said = client.hear(HEAD + GRACE)
            assert (said.raw, said.closed) == (b"", True)
            assert HEAD <= said.seconds < HEAD + GRACE
            client.close()
        stop.set()
        thread.join()
    assert scene.daemon.page().own(DROPPED, reason="head") == 2


def test_WEB1_a_slow_reader_of_a_large_page_is_cut_off(scene: Scene) -> None:
    daemon = start_large(scene)
    with scene.fault(but_for=["X2: one", "X6: rss"]):
        readers = [
            Client(daemon.port, request, window=4096)
            for request in (get("/metrics"), get("/metrics").replace(b"/1.1", b"/1.0"), get("/metrics?collect[]=one"))
        ]
        began = time.monotonic()
        until(lambda: daemon.page().own(DROPPED, reason="write") == 3, WRITE + 3 * GRACE, "all are cut off")
        assert time.monotonic() - began >= WRITE - 1
        for reader in readers:
            said = reader.hear(GRACE)
            assert said.closed
            assert not said.whole()
            reader.close()


@pytest.mark.timeout(400)
def test_WEB2_ten_thousand_half_open_connections_and_slow_readers_do_not_slow_a_scrape(scene: Scene) -> None:
    seconds = 120 if os.environ.get("FULL") else 20
    with descriptors(1 << 20):
        daemon = scene.start(scene.config())
    before, times, peak = daemon.vitals(), list[float](), 0.0
    # The crowd takes one of two processors: a receiver of the tests may then be too slow for a probe of 300 ms.
    with scene.fault(but_for=["X6: rss", "X4: others"]):
        command = [sys.executable, "-m", "tests.faults.crowd", str(daemon.port), "10000", "100", str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as crowd:
            began = time.monotonic()
            while crowd.poll() is None:
                answer = daemon.get("/metrics", Accept_Encoding="gzip")
                if time.monotonic() - began < seconds:
                    times.append(answer.seconds)
                peak = max(peak, daemon.vitals().rss)
                time.sleep(0.05)
            output, _ = crowd.communicate()
    seen, growth = json.loads(output), peak - before.rss
    p99 = sorted(times)[int(len(times) * 0.99)]
    print(f"{seconds} s: {seen}; {len(times)} scrapes, p99 {p99 * 1e3:.0f} ms, memory grew by {growth:.0f} MiB")
    assert p99 < 0.25
    assert growth < 100
    assert seen["left"] == 0
    assert seen["longest"] < HEAD + GRACE
    assert seen["longest_reader"] < WRITE + 2 * GRACE
    page = daemon.page()
    assert page.own(DROPPED, reason="write") >= 100
    assert page.own(DROPPED, reason="head") + page.own(DROPPED, reason="full") >= 10_000
    assert len(daemon.log_lines("connection", "level=warn")) <= 3 * (2 + seconds // 60)


def test_WEB2_at_the_limit_a_newcomer_gets_in_and_the_rest_of_the_daemon_has_descriptors(scene: Scene) -> None:
    with descriptors(256):
        daemon = scene.start(scene.config())
    with scene.fault():
        crowd = [Client(daemon.port, b"GET / HT" if number % 2 else b"") for number in range(400)]
        used = Client(daemon.port, get("/-/healthy"))
        assert used.hear(5.0, to_the_end=False).status == 200
        crowd += [Client(daemon.port, b"GET / HT") for _ in range(300)]
        page = scene.cycles(2)
        assert page.own("http_connections") <= 128
        assert page.own(DROPPED, reason="full") >= 500
        assert page.value("publishing_health_status", target="good") == 1
        assert daemon.vitals().fds < 256
        used.send(get("/-/healthy"))
        assert used.hear(5.0, to_the_end=False).status == 200
        for client in (*crowd, used):
            client.close()
        until(lambda: daemon.page().own("http_connections") <= 4, 5.0, "all are forgotten")


# -- malformed


def post(*lines: str, body: bytes = b"", path: str = "/-/reload") -> bytes:
    return get(path, *lines, method="POST") + body


MALFORMED_REQUESTS = {
    "a header of 20 kB": get("/metrics", f"X-Long: {MARK}" + "x" * 20_000),
    "50,000 headers": get("/metrics", *[f"{MARK}: y"] * 50_000),
    "100 headers of 8 kB": get("/metrics", *[f"{MARK}: " + "y" * 8_000] * 100),
    "an address of 20 kB": get(f"/{MARK}" + "x" * 20_000),
    "two lengths": post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two different lengths": post("Content-Length: 5", "Content-Length: 6", body=b"12345"),
    "a negative length": post("Content-Length: -1"),
    "an unknown encoding": post(f"Transfer-Encoding: {MARK}"),
    "a version there is not": f"GET /{MARK} HTTP/9.9\r\nHost: x\r\n\r\n".encode(),
    "the version before versions": b"GET /metrics\r\n\r\n",
    "the next version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two hosts": get("/metrics", f"Host: {MARK}"),
    "no request": MARK.encode() + b"\r\n\r\n",
    "no text": bytes(range(128, 256)) * 3,
    "a greeting in TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "a header without a name": get("/metrics", f": {MARK}"),
    "a folded header": get("/metrics", "X: a\r\n b"),
    "a zero byte": get("/metrics", f"X: {MARK}\0"),
    "an unknown method": get("/metrics", method=MARK.upper()),
    "a method of 8 kB": get("/metrics", method="A" * 8192),
    "an address that is none": get("http://[::1"),
}


def test_WEB3_malformed_requests_get_400_and_cost_one_line_together(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    before = daemon.page()
    with scene.fault():
        for _ in range(3):
            for what, request in MALFORMED_REQUESTS.items():
                said = ask(daemon.port, request, to_the_end=True)
                assert (said.status, said.closed) == (400, True), what
                assert said.code == "malformed", what
                assert said.header("Server") == "platform-exporter", what
                assert MARK.lower() not in said.raw.decode().lower(), what
    page = daemon.page()
    expected = 3.0 * len(MALFORMED_REQUESTS)
    labels = {"route": "other", "method": "other", "code": "400"}
    assert answered(page, **labels) - answered(before, **labels) == expected
    assert len(daemon.log_lines(MALFORMED)) == 1
    assert MARK.lower() not in daemon.log().lower()


def test_WEB4_no_accept_header_makes_the_page_fail(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    accepts = ["", ",;=", "q=NaN", "text/plain;q=NaN", "*/*;q=0", "text/plain;version=9.9", "a/b" * 2_000, '"', "\xff"]
    openmetrics = "application/openmetrics-text"
    accepts += [f"{openmetrics};{less}" for less in ("version=abc", "version=9.9", "q=0", "q=1e999")] + ["text/*;q=-1"]
    with scene.fault():
        for accept in accepts:
            said = ask(daemon.port, get("/metrics", f"Accept: {accept}"))
            assert (said.status, said.header("Content-Encoding")) == (200, None), accept
            assert (said.header("Content-Type") or "").startswith("text/plain; version=0.0.4"), accept
        for encoding, zipped in {
            "gzip": True,
            "gzip;q=0": False,
            "identity;q=0, gzip": True,
            "identity;q=0": None,
            "*;q=0": None,
            "gzip;q=NaN": None,
            "br, zstd;q=1": False,
            "x" * 5_000: False,
        }.items():
            said = ask(daemon.port, get("/metrics", f"Accept-Encoding: {encoding}"))
            assert said.status == 200, encoding
            compressed = said.header("Content-Encoding") == "gzip"
            assert zipped in (None, compressed), encoding
            text = gzip.decompress(said.body) if compressed else said.body
            assert text.startswith(b"# HELP"), encoding
        assert ask(daemon.port, get("/metrics", "Accept: " + "x" * 100_000)).status == 400


def test_WEB5_no_method_does_what_it_should_not(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    with scene.fault():
        head = ask(daemon.port, get("/metrics", "Connection: close", method="HEAD"), to_the_end=True)
        assert (head.status, head.body) == (200, b"")
        for method in ("OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "LOCK"):
            said = ask(daemon.port, get("/metrics", f"X-Mark: {MARK}", "X-HTTP-Method-Override: GET", method=method))
            assert (said.status, said.header("Allow")) == (405, "GET, HEAD"), method
            assert MARK not in said.raw.decode()
        assert ask(daemon.port, get("/metrics", method="CONNECT")).status in (404, 405)
        overridden = ask(daemon.port, get("/-/reload", "X-HTTP-Method-Override: POST"))
        assert (overridden.status, overridden.header("Allow")) == (405, "POST")
    methods = {dict(labels)["method"] for labels in daemon.page().series(REQUESTS)}
    assert methods <= {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "other"}


HOSTILE_PATHS = (
    "/../../etc/passwd",
    "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/metrics/../../etc/passwd",
    "/%00",
    "/metrics%00",
    "/\\..\\..\\x",
    "//metrics",
    "///metrics",
    "/metrics/",
    "/METRICS",
    "/%c0%ae%c0%ae/",
    "/%ed%a0%80",
    "/%zz%1",
    "/metrics;x=1",
    "/-/healthy/../reload",
    "/assets/../../server.py",
    "/" + "a/" * 2_000,
    "*",
)


def test_WEB6_no_path_leads_out_of_the_table(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    with scene.fault():
        for path in HOSTILE_PATHS:
            said = ask(daemon.port, get(path))
            assert said.status in (400, 404), path
            assert said.code in ("not_found", "malformed"), path
            assert b"root:" not in said.raw


def test_WEB7_no_parameters_take_long_or_are_told_back(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    hostile = (
        f"'; DROP TABLE {MARK}; --",
        f"<script>{MARK}</script>",
        f"=cmd|'{MARK}'!A1",
        f"\r\nX-{MARK}: 1",
        "\0",
        "💥",
    )
    encoded = ["".join(f"%{byte:02x}" for byte in text.encode()) for text in hostile]
    with scene.fault():
        many = ask(daemon.port, get("/metrics?" + "name[]=a&" * 10_000))
        assert (many.status, many.seconds < 1) == (400, True)
        most = ask(daemon.port, get("/metrics?" + "&".join(f"name[]=n{number}" for number in range(640))))
        assert (most.status, most.seconds < 1) == (200, True)
        for query in (
            "limit=1e9",
            "x",
            "&&&=&",
            "name[]",
            "name[]=",
            "collect[]=well&collect[]=well",
            "a=%ff",
            "%00=1",
        ):
            assert ask(daemon.port, get(f"/metrics?{query}")).status == 200, query
        for text in encoded:
            for name in ("collect[]", "exclude[]"):
                said = ask(daemon.port, get(f"/metrics?{name}={text}"))
                assert (said.status, said.code) == (400, "unknown_collector")
                assert MARK not in said.raw.decode()
            assert ask(daemon.port, get(f"/metrics?name[]={text}&{text}={text}")).status == 200
            flagged = ask(daemon.port, get(f"/-/reload?dry_run={text}", method="POST"))
            assert (flagged.status, flagged.code) == (400, "bad_parameter")
            assert MARK not in flagged.raw.decode()
        for _ in range(50):  # different each time: nothing is kept for long
            assert ask(daemon.port, get(f"/metrics?name[]={os.urandom(8).hex()}")).status == 200


def test_WEB8_bodies_are_refused_and_neither_read_nor_inflated(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    bomb = gzip.compress(bytes(100 << 20))
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    with scene.fault():
        peak = daemon.vitals().rss
        for path, method, taken in (
            ("/metrics", "GET", True),
            ("/-/reload", "POST", True),
            ("/metrics", "POST", False),
        ):
            for lines, body, codes in (
                (["Content-Length: 4"], b"body", {400}),
                (["Content-Length: 3000000"], bytes(3_000_000), {413}),
                (["Content-Length: 3000000"], b"", {413}),
                (["Transfer-Encoding: chunked"], chunk * 100, {413, 400}),
                (["Content-Encoding: gzip", f"Content-Length: {len(bomb)}"], bomb, {413}),
                (["Content-Encoding: gzip", "Transfer-Encoding: chunked"], b"4\r\n\x1f\x8b\x08\0\r\n0\r\n\r\n", {413}),
            ):
                said = ask(daemon.port, get(path, *lines, method=method) + body, to_the_end=True)
                assert said.status in (codes if taken else codes | {405}), (method, path, lines)
                assert said.closed
                assert said.seconds < GRACE
                peak = max(peak, daemon.vitals().rss)
        endless = Client(daemon.port, get("/-/reload", "Transfer-Encoding: chunked", method="POST"))
        began = time.monotonic()
        while endless.send(chunk) and time.monotonic() - began < 2 * GRACE:
            time.sleep(0.02)
        assert time.monotonic() - began < GRACE
        endless.close()
    assert peak < 130
    assert daemon.log_lines("configuration reloaded")[2:] == []  # but for those while it warmed up


# -- gone, and all at once


def test_WEB13_clients_that_leave_in_the_middle_leave_nothing_behind(scene: Scene) -> None:
    daemon = start_large(scene)
    with scene.fault(but_for=["X2: one", "X6: rss"]):
        for number in range(150):
            for first in (b"", b"GET /me", get("/metrics"), get("/"), get("/events"), get("/metrics") * 10):
                client = Client(daemon.port, first)
                if number % 3:
                    client.hear(0.005, to_the_end=False)
                (client.close if number % 2 else client.reset)()
        for first in (get("/metrics"), get("/-/healthy"), get("/metrics", "Accept-Encoding: gzip")):
            client = Client(daemon.port, first)
            client.socket.shutdown(socket.SHUT_WR)
            said = client.hear(10.0)
            assert said.status == 200
            assert said.whole()
            assert said.closed
            client.close()
        until(lambda: daemon.page().own("http_connections") <= 4, 10.0, "all are forgotten")


def test_WEB14_a_storm_of_scrapes_is_served_from_the_same_bytes(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    with scene.fault(but_for=["X6: rss"]):
        clients = [Client(daemon.port) for _ in range(500)]
        began = time.time()
        for client in clients:
            client.send(get("/metrics"))
        pages = [client.hear(10.0, to_the_end=False) for client in clients]
        took = time.time() - began
        assert {page.status for page in pages} == {200}
        assert all(page.whole() for page in pages)
        assert len({page.body for page in pages}) <= took / scene.interval + 2
        for client in clients:
            client.close()


# -- hostile


def test_WEB15_nothing_a_client_says_is_told_to_anyone(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    spoofed = [f"X-Forwarded-Host: {MARK}", f"X-Forwarded-Proto: {MARK}", f"X-Forwarded-For: {MARK}"]
    spoofed += [f"Forwarded: host={MARK}", f"X-Original-URL: /{MARK}", f"X-Rewrite-URL: /{MARK}", f"Referer: {MARK}"]
    paths = ("/", "/metrics", "/openapi.json", "/-/healthy", "/-/ready", "/nowhere", f"/{MARK}", f"/metrics?{MARK}=1")
    with scene.fault():
        for path in paths:
            for method in ("GET", "POST"):
                said = ask(daemon.port, get(path, *spoofed, method=method, host=f"{MARK}.example"))
                assert MARK not in said.raw.decode(), path
        for host in (f"{MARK}/../@a:99999999", f"{MARK}:0", f"[{MARK}", f"'\"><script>{MARK}"):
            said = ask(daemon.port, get("/", host=host))
            assert said.status in (200, 400)
            assert MARK not in said.raw.decode()
        split = ask(daemon.port, get(f"/%0d%0aX-{MARK}:%201?a=%0d%0aX-{MARK}:%201"))
        assert MARK not in split.raw.decode()
    assert MARK not in daemon.log()
    assert MARK not in daemon.page().text


def test_WEB15_the_redirect_to_a_prefix_is_relative(alone: Scene) -> None:
    alone.write(alone.config())
    daemon = alone.spawn(f"--config.file={alone.file}", "--web.route-prefix=/below")
    until(lambda: bool(daemon.log_lines("msg=listening")), 20.0, "it listens")
    port = int(alone.address.rpartition(":")[2])
    for path, where in (("/", "below/"), ("/below", "below/")):
        said = ask(port, get(path, f"X-Forwarded-Host: {MARK}", host=MARK))
        assert (said.status, said.header("Location")) == (302, where)
        assert MARK not in said.raw.decode()


def test_WEB16_hostile_names_stay_outside_and_pages_allow_no_foreign_script(scene: Scene) -> None:
    config = scene.config()
    hostile = f"http://127.0.0.1:1/{MARK}<script>alert(1)</script>"
    config["targets"]["static"] += [{"name": "hostile", "type": "webhook", "url": hostile}]
    daemon = scene.start(config)
    with scene.fault():
        page = ask(daemon.port, get("/"))
        assert page.status == 200
        assert MARK.encode() not in page.raw
        assert b"<script>alert" not in page.raw
        policy = page.header("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for path in ("/", "/metrics", "/openapi.json", "/nowhere", "/-/healthy"):
            said = ask(daemon.port, get(path))
            assert said.header("X-Content-Type-Options") == "nosniff"
            assert "default-src 'none'" in (said.header("Content-Security-Policy") or "")
        config["targets"]["static"] += [{"name": "<b>bold</b>", "type": "webhook", "url": "http://127.0.0.1:1/"}]
        scene.write(config)
        refused = daemon.reload()
        assert refused.status == 400
        assert b"<b>" not in refused.body
        config["targets"]["static"].pop()
        scene.write(config)
        assert daemon.reload().status == 200


# -- an address that cannot be had


def ended(command: Sequence[str], scene: Scene) -> tuple[int, str, float]:
    began = time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=20,
        cwd=scene.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": python_path()},
    )
    return done.returncode, done.stderr, time.monotonic() - began


def test_WEB17_an_address_that_cannot_be_had_is_named_at_the_start(alone: Scene) -> None:
    run = [sys.executable, "-m", "exporter"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = f"127.0.0.1:{taken.getsockname()[1]}"
        free = f"127.0.0.1:{free_port()}"
        for address in (in_use, "[2001:db8::1]:9847", "nowhere.invalid:9847"):
            code, stderr, seconds = ended(
                [*run, f"--web.listen-address={free}", f"--web.listen-address={address}"], alone
            )
            assert code == 1, stderr
            assert address in stderr
            assert "Traceback" not in stderr
            assert len(stderr.splitlines()) == 1
            assert seconds < GRACE  # of the process, imports and a busy machine included


def test_WEB17_a_port_that_needs_privileges_is_named_at_the_start(alone: Scene) -> None:
    without = [program("setpriv"), "--bounding-set=-net_bind_service", "--"] if os.getuid() == 0 else []
    code, stderr, _ = ended([*without, sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:81"], alone)
    assert code == 1, stderr
    assert re.search(r"127\.0\.0\.1:81: .*[Pp]ermission denied", stderr)
    assert "Traceback" not in stderr


def test_WEB17_without_ipv6_a_bare_port_is_served_all_the_same(alone: Scene) -> None:
    unshare = program("unshare")
    port = free_port()
    # In a network of its own there is a loopback device alone, which has to be switched on; IPv6 is switched off first.
    inside = (
        "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up && "
        f"{{ {sys.executable} -m exporter --web.listen-address=:{port} & }} && for i in $(seq 100); do "
        f"curl -fsS http://127.0.0.1:{port}/-/healthy 2>/dev/null && break; sleep 0.1; done; kill $!; wait $!"
    )
    if os.getuid() != 0 or shutil.which("ip") is None or shutil.which("curl") is None:
        pytest.skip("needs root, ip and curl to have a network of its own")
    done = subprocess.run(
        [unshare, "--net", "--mount", "sh", "-c", inside],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=alone.folder,
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": python_path()},
    )
    assert done.stdout == "healthy\n", done.stderr
    assert "Traceback" not in done.stderr


# -- labels


def test_CARD5_what_clients_invent_never_becomes_a_series(scene: Scene) -> None:
    daemon = scene.start(scene.config())
    for request in MALFORMED_REQUESTS.values():
        ask(daemon.port, request)
    for path in ("/", "/nowhere", "/metrics"):
        for method in ("GET", "HEAD", "POST", "PUT", "LOCK", "DELETE"):
            ask(daemon.port, get(path, "Connection: close", method=method), to_the_end=True)
    scene.cycles(1)
    before = len(daemon.page().series(REQUESTS))
    with scene.fault():
        said: list[Said] = []
        for number in range(300):
            path = f"/{MARK}/{number}/%2e%2e/{os.urandom(4).hex()}"
            for method in ("GET", "PUT", "LOCK", f"M{number}"):
                said.append(ask(daemon.port, get(path, "Connection: close", method=method)))
        assert {each.status for each in said} == {404, 400}
    page = daemon.page()
    assert len(page.series(REQUESTS)) <= before + 4
    assert MARK not in page.text
    assert MARK not in daemon.log()
