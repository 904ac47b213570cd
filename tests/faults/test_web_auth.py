"""Who may come in: wrong passwords in a storm, broken credentials, tricks with paths, and certificates gone wrong."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import bcrypt
import pytest

from tests.fakes.authority import Authority, Pair
from tests.fakes.receiver import Background, Receiver
from tests.faults.guarded import PASSWORDS, Guarded, basic
from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

RELOADED = "platform_exporter_web_config_last_reload_successful"
EXPIRY = "platform_exporter_tls_certificate_expiry_timestamp_seconds"
WATCHED_WITHIN = 6.0  # the files are looked at every two seconds
UNSCRAPED = "X1: up"  # the Prometheus of the suite has no credentials; one that has them is in tests/e2e
# Encryption takes and gives back large blocks, and the heap keeps the gaps: 10 to 15 MiB over the first thousand
# connections, which the sampler alone opens, almost nothing over the next ten thousand, and renewals add none.
RENEWED = [UNSCRAPED, "X6: rss"]
EXPIRED = Path(__file__).parents[1] / "fakes" / "tls" / "expired.pem"


class GuardedScene(Scene):
    """A scene behind a web configuration file."""

    tls: ssl.SSLContext | None = None

    def __init__(self, folder: Path, background: Background, receiver: Receiver) -> None:
        super().__init__(folder, background, receiver, None)
        self.web = folder / "web.yml"
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"

    def guard(self, tls: Pair | None = None, cost: int = 4) -> None:
        """Writes the web configuration."""
        lines = ["basic_auth_users:"]
        lines += [
            f"  {name}: {bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()}"
            for name, password in PASSWORDS.items()
        ]
        if tls is not None:
            self.put(tls)
            lines += ["tls_server_config:", "  cert_file: tls.crt", "  key_file: tls.key"]
        self.web.write_text("\n".join(lines) + "\n")

    def put(self, pair: Pair) -> None:
        for source, target in ((pair.cert, self.cert), (pair.key, self.key)):
            shutil.copy(source, target)

    def spawn(self, *arguments: str) -> Guarded:
        daemon = Guarded(self.folder, self.environ, [*arguments, f"--web.config.file={self.web}"])
        daemon.tls = self.tls
        self._daemons.append(daemon)
        return daemon

    def begin(self) -> Guarded:
        # What is kept on disk does not matter here, and takes its room in memory only after a while.
        self.start(self.config() | {"history": {"path": None}})
        assert isinstance(self.daemon, Guarded)
        return self.daemon

    def close(self) -> None:
        outputs = [daemon.log() + daemon.stdout.read_text() for daemon in self._daemons]
        super().close()
        shown = [word for output in outputs for word in (*PASSWORDS.values(), "$2b$", "PRIVATE KEY") if word in output]
        assert shown == []


@pytest.fixture
def guarded(tmp_path: Path, background: Background, receiver: Receiver) -> Iterator[GuardedScene]:
    scene = GuardedScene(tmp_path, background, receiver)
    yield scene
    scene.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def pairs(authority: Authority) -> dict[str, Pair]:
    return {
        "first": authority.issue("first"),
        "renewed": authority.issue("renewed", days=700),
        "rsa": authority.issue("rsa", rsa=True),
    }


# -- WEB9


class Attack(threading.Thread):
    """Wrong passwords, always another one, at a steady rate on a connection that stays open."""

    def __init__(self, daemon: Guarded, rate: float, name: str, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.statuses: Counter[int] = Counter()
        self._daemon_asked, self._rate, self._name, self._ended = daemon, rate, name, ended

    def run(self) -> None:
        connection = self._daemon_asked.connect()
        begin, number = time.monotonic(), 0
        while not self._ended.is_set():
            number += 1
            headers = {"Authorization": basic("ann", f"{self._name}-{number}")}
            connection.request("GET", "/metrics", headers=headers)
            response = connection.getresponse()
            response.read()
            self.statuses[response.status] += 1
            self._ended.wait(begin + number / self._rate - time.monotonic())
        connection.close()


def test_WEB9_a_thousand_wrong_passwords_a_second_hold_up_nobody(guarded: GuardedScene) -> None:
    guarded.guard(cost=10)
    daemon = guarded.begin()
    assert daemon.get("/metrics").status == 200
    ended = threading.Event()
    attacks = [Attack(daemon, 250.0, f"wrong-{number}", ended) for number in range(4)]
    with guarded.fault(but_for=[UNSCRAPED]):
        began = time.monotonic()
        for attack in attacks:
            attack.start()
        time.sleep(1.0)
        bob = basic("bob", PASSWORDS["bob"])
        first = daemon.get("/metrics", source="127.0.0.2", Authorization=bob)
        assert (first.status, first.seconds < 2.0) == (200, True)
        for _ in range(20):  # also from the address of the attack, once it is known to be right
            for user in ("ann", "bob"):
                answer = daemon.get("/metrics", Authorization=basic(user, PASSWORDS[user]))
                assert (answer.status, answer.seconds < 0.5) == (200, True)
            time.sleep(0.1)
        ended.set()
        for attack in attacks:
            attack.join(10.0)
        seconds = time.monotonic() - began
    statuses = sum((attack.statuses for attack in attacks), Counter[int]())
    assert set(statuses) == {401, 429}
    assert statuses.total() > 600 * seconds
    assert statuses[401] <= 10 + seconds + 1
    page = daemon.get("/metrics").text
    assert [name for name in PASSWORDS if f'"{name}"' in page] == []
    refused = Page(page).own("http_requests_total", route="/metrics", method="GET", code="429")
    assert refused == statuses[429]


def test_WEB9_an_unknown_user_takes_as_long_as_a_wrong_password(guarded: GuardedScene) -> None:
    guarded.guard(cost=10)
    daemon = guarded.begin()
    taken: dict[str, list[float]] = {"ann": [], "nobody": []}
    with guarded.fault(but_for=[UNSCRAPED]):
        for number in range(8):
            for source, user in (("127.0.0.3", "ann"), ("127.0.0.4", "nobody")):
                answer = daemon.get("/metrics", source=source, Authorization=basic(user, f"wrong {number}"))
                assert answer.status == 401
                taken[user].append(answer.seconds)
    assert 0.7 < median(taken["ann"]) / median(taken["nobody"]) < 1.4


# -- WEB10


def raw(daemon: Guarded, request: bytes, source: str = "127.0.0.1") -> bytes:
    with socket.create_connection(("127.0.0.1", daemon.port), 5.0, (source, 0)) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


RIGHT = basic("ann", PASSWORDS["ann"]).encode()
MALFORMED = {
    "no space": [b"Basic"],
    "no value": [b""],
    "bad base64": [b"Basic !!!!"],
    "odd base64": [b"Basic YTpi="],
    "no colon": [b"Basic " + b64encode(b"ann")],
    "not UTF-8": [b"Basic " + b64encode(b"\xff\xfe:\xc3\x28")],
    "bytes beyond ASCII": [b"Basic \xff\xfe\xfd"],
    "eight kilobytes": [b"Basic " + b"QUFB" * 2000],
    "a long password": [b"Basic " + b64encode(b"ann:" + b"x" * 5000)],
    "another scheme": [b"Digest username=ann"],
    "two headers": [RIGHT, RIGHT],
    "one right, one wrong": [RIGHT, b"Basic YTpi"],
    "two in one": [RIGHT + b", " + RIGHT],
    "a NUL in the password": [b"Basic " + b64encode(b"ann:\0")],
}


def test_WEB10_malformed_credentials_are_401_and_never_500(guarded: GuardedScene) -> None:
    guarded.guard()
    daemon = guarded.begin()
    with guarded.fault(but_for=[UNSCRAPED]):
        for number, path in enumerate((b"/metrics", b"/", b"/events", b"/nowhere")):
            # Some of them are wrong logins, of which an address has only so many.
            source = f"127.0.0.{10 + number}"
            for kind, values in MALFORMED.items():
                lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
                answer = raw(
                    daemon, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n", source
                )
                assert answer.startswith(b"HTTP/1.1 401 "), (kind, path, answer[:60])
                assert b"\r\nWWW-Authenticate: Basic " in answer
        guarded.cycles(1)
    answered = [dict(labels) for labels in daemon.page().series("platform_exporter_http_requests_total")]
    failed = [labels for labels in answered if labels["code"].startswith("5")]
    assert {labels["route"] for labels in failed} <= {"/-/ready"}  # not ready at the start


# -- WEB11

TRICKS = [
    "/-/reload",
    "/-/reload/",
    "//-/reload",
    "/-//reload",
    "/-/./reload",
    "/-/healthy/../reload",
    "/-/healthy/%2e%2e/reload",
    "/-/healthy%2F..%2Freload",
    "/-%2Freload",
    "/%2d/reload",
    "/-/RELOAD",
    "/-/reload%00",
    "/-/reload;/-/healthy",
    "/-/reload?/-/healthy",
    "/-/reload?dry_run=1",
    "http://127.0.0.1/-/reload",
    "http://x/-/healthy/../reload",
]
METHODS = ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "LOCK"]


def test_WEB11_no_spelling_of_a_path_and_no_method_gets_past_the_check(guarded: GuardedScene) -> None:
    guarded.guard()
    daemon = guarded.begin()
    with guarded.fault(but_for=[UNSCRAPED]):
        before = daemon.page().own("config_last_reload_success_timestamp_seconds")
        for more in (
            "",
            "X-HTTP-Method-Override: GET\r\n",
            "X-Original-URL: /-/healthy\r\nX-Rewrite-URL: /-/ready\r\n",
        ):
            for target in TRICKS:
                for method in METHODS:
                    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"
                    status = raw(daemon, head.encode())[9:12]
                    assert status in (b"401", b"400"), (method, target, status)
        assert daemon.page().own("config_last_reload_success_timestamp_seconds") == before
        assert daemon.reload("?dry_run=1").status == 200


# -- WEB12


def client_of(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.file)


def told(scene: GuardedScene, good: bool) -> Page:
    return scene.page_with(lambda page: page.value(RELOADED) == good, WATCHED_WITHIN, f"{RELOADED} {good:d}")


def test_WEB12_a_pair_replaced_file_by_file_is_taken_over_once_it_is_whole(
    guarded: GuardedScene, authority: Authority, pairs: dict[str, Pair]
) -> None:
    """The certificate first, the key some seconds later; the new key is of another kind."""
    guarded.tls = client_of(authority)
    guarded.guard(pairs["first"])
    daemon = guarded.begin()
    with guarded.fault(but_for=RENEWED):
        begin = daemon.page().value(EXPIRY)
        for pair in (pairs["renewed"], pairs["rsa"], pairs["first"]):
            shown = daemon.certificate()
            log_start = len(daemon.log())
            shutil.copy(pair.cert, guarded.cert)
            told(guarded, False)
            assert daemon.certificate() == shown
            guarded.cycles(6)  # more than one look at the files
            assert len(daemon.log_lines("web configuration refused", start=log_start)) == 1
            shutil.copy(pair.key, guarded.key)
            told(guarded, True)
            assert daemon.certificate() == pair.cert.read_text()
        assert daemon.page().value(EXPIRY) == begin


@pytest.mark.parametrize("what", ["gone", "empty", "half", "garbage", "a folder", "another key", "a loop of links"])
def test_WEB12_a_key_that_cannot_be_used_leaves_the_old_pair_in_use(
    guarded: GuardedScene, authority: Authority, pairs: dict[str, Pair], what: str
) -> None:
    guarded.tls = client_of(authority)
    guarded.guard(pairs["first"])
    daemon = guarded.begin()
    text = guarded.key.read_text()
    with guarded.fault(but_for=RENEWED):
        guarded.key.unlink()
        if what == "a folder":
            guarded.key.mkdir()
        elif what == "a loop of links":
            guarded.key.symlink_to(guarded.key)
        elif what != "gone":
            contents = {
                "empty": "",
                "half": text[:80],
                "garbage": "\0" * 999,
                "another key": pairs["rsa"].key.read_text(),
            }
            guarded.key.write_text(contents[what])
        told(guarded, False)
        assert daemon.certificate() == pairs["first"].cert.read_text()
        assert daemon.reload().status == 400
        guarded.key.rmdir() if what == "a folder" else guarded.key.unlink(missing_ok=True)
        guarded.put(pairs["renewed"])
        told(guarded, True)
        assert daemon.certificate() == pairs["renewed"].cert.read_text()


def test_WEB12_an_expired_certificate_is_visible_and_replaces_no_good_one(
    guarded: GuardedScene, authority: Authority, pairs: dict[str, Pair]
) -> None:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    guarded.tls = unverified
    guarded.guard(Pair(EXPIRED, EXPIRED))
    daemon = guarded.begin()
    with guarded.fault(but_for=RENEWED):
        assert daemon.page().value(EXPIRY) < time.time()
        assert len(daemon.log_lines("certificate of the listener has expired")) == 1
        guarded.put(pairs["first"])
        page = guarded.page_with(lambda page: page.value(EXPIRY) > time.time(), WATCHED_WITHIN)
        guarded.put(Pair(EXPIRED, EXPIRED))
        assert told(guarded, False).value(EXPIRY) == page.value(EXPIRY)
        assert daemon.certificate() == pairs["first"].cert.read_text()
        guarded.put(pairs["renewed"])
        told(guarded, True)


def test_WEB12_what_speaks_no_tls_is_cut_off_without_a_word(
    guarded: GuardedScene, authority: Authority, pairs: dict[str, Pair]
) -> None:
    guarded.tls = client_of(authority)
    guarded.guard(pairs["first"])
    daemon = guarded.begin()
    with guarded.fault(but_for=RENEWED):
        log_start = len(daemon.log())
        for request in (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 3000, b"x"):
            with socket.create_connection(("127.0.0.1", daemon.port), 5.0) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    assert b"HTTP/1.1 200" not in connection.recv(65536)
        guarded.cycles(1)
        assert daemon.log_lines("level=error", start=log_start) == []


def test_WEB12_users_without_the_package_keep_the_daemon_from_starting(guarded: GuardedScene) -> None:
    guarded.guard()
    guarded.write(guarded.config())
    (guarded.site / "bcrypt.py").write_text("raise ImportError\n")
    daemon = guarded.spawn(f"--config.file={guarded.file}")
    assert daemon.ended(20.0) == 2
    assert daemon.log().splitlines() == [
        f"{guarded.web}:2:3: basic_auth_users: needs the package bcrypt: pip install 'platform-exporter[auth]'"
    ]


def test_WEB12_a_listener_open_to_everybody_is_warned_of(alone: Scene) -> None:
    alone.write(alone.config())
    daemon = alone.spawn(
        f"--config.file={alone.file}", "--web.listen-address=0.0.0.0:0", "--web.listen-address=127.0.0.1:0"
    )
    until(lambda: len(daemon.log_lines("msg=listening")) == 2, 20.0, "it listens")
    [line] = daemon.log_lines("level=warn", "--web.config.file")
    assert "address=0.0.0.0:" in line
    assert daemon.stop() == 0
