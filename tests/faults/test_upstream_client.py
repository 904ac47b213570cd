"""Remotes that answer badly: watched by the daemon as its targets, and asked by the client as a source would be."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.bodies import bomb, each, endless, head, packed
from tests.fakes.handshake import shaking_hands
from tests.fakes.receiver import Background, Receiver
from tests.fakes.remote import TLS, Script, answer, says, server_tls
from tests.faults import canary
from tests.faults.asking import Asker, asking
from tests.faults.canary import CANARIES
from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Scene
from tests.faults.test_upstreams import ERRORS, HEALTHY, UNHEALTHY, sick, watched, well_again

pytestmark = pytest.mark.slow

DEGRADED = 2
CHECKS = "publishing_health_checks_total"
EXPIRY = "publishing_target_tls_expiry_timestamp_seconds"
GROWTH = 64.0  # MiB a remote may cost, whatever it sends; the limit of a body is a quarter of it
LAG = 0.25
SECRET = f"/{CANARIES['path']}?token={CANARIES['query']}"


# -- targets, watched by the daemon


def states(page: Page, expected: Mapping[str, int]) -> bool:
    return {name: page.get("publishing_health_status", target=name) for name in expected} == expected


def costs_little(scene: Scene, script: Script) -> None:
    """A target whose headers are in order is healthy: its body is not read, however much of it there is."""
    victim = scene.victim()
    with watched(scene, victim=victim.url()):
        before = scene.daemon.peak_rss()
        victim.script = script
        page = scene.cycles(6)
        assert page.value("publishing_health_status", target="victim") == HEALTHY
        assert scene.daemon.peak_rss() - before < GROWTH
        until(lambda: victim.open_now <= 1, 2.0, "each probe hangs up")
        victim.script = says(answer(200))


def test_UP6_each_status_has_its_meaning(scene: Scene) -> None:
    meanings = {
        **dict.fromkeys((200, 204, 206, 400, 404, 405, 415, 422), (HEALTHY, None)),
        **dict.fromkeys((401, 403), (DEGRADED, "auth")),
        **dict.fromkeys((410, 418), (DEGRADED, "http_status")),
        **dict.fromkeys((500, 502, 503), (UNHEALTHY, "http_status")),
        304: (UNHEALTHY, "redirect"),
    }
    victims = {f"s{status}": scene.victim() for status in meanings}
    for status, victim in zip(meanings, victims.values(), strict=True):
        victim.script = says(answer(status, body=b"" if status in (204, 304) else CANARIES["exception"].encode()))
    with watched(scene, **{name: victim.url() for name, victim in victims.items()}):
        expected = {f"s{status}": state for status, (state, _) in meanings.items()}
        page = scene.page_with(lambda page: states(page, expected), 10.0)
    for status, (_, reason) in meanings.items():
        errors = {
            dict(of)["reason"] for of, value in page.series(ERRORS).items() if value and ("target", f"s{status}") in of
        }
        assert errors == ({reason} if reason else set()), status


def test_UP7_a_target_that_asks_for_a_pause_gets_it_and_nonsense_is_not_heeded(scene: Scene) -> None:
    pauses = {"long": "120", "date": formatdate(time.time() + 120, usegmt=True), "negative": "-1", "garbage": "soon"}
    victims = {name: scene.victim() for name in (*pauses, "past", "broken")}
    for name, header in {**pauses, "past": "Thu, 01 Jan 1970 00:00:00 GMT"}.items():
        victims[name].script = says(answer(429, f"Retry-After: {header}"))
    victims["broken"].script = says(answer(503, "Retry-After: 120"))
    with watched(scene, **{name: victim.url() for name, victim in victims.items()}):
        before = scene.cycles(4)
        page = scene.cycles(4)
    probes = {name: page.total(CHECKS, target=name) - before.total(CHECKS, target=name) for name in victims}
    assert {name for name, number in probes.items() if number == 0} == {"long", "date"}
    assert states(page, dict.fromkeys((*pauses, "past"), DEGRADED))
    assert page.value(ERRORS, target="long", reason="rate_limited") == 1
    # It failed, and a failure is not postponed at the wish of whoever fails.
    assert states(page, {"broken": UNHEALTHY})


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (head(200), b"x" * 65536),
        (head(200, f"Content-Length: {10**15}"), b"x" * 65536),
        (head(200, "Transfer-Encoding: chunked"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["endless", "announced", "chunked"],
)
def test_UP9_the_body_of_a_target_is_not_read_however_long(scene: Scene, start: bytes, again: bytes) -> None:
    costs_little(scene, endless(start, again))


def test_UP10_the_bomb_of_a_target_does_not_go_off(scene: Scene) -> None:
    costs_little(scene, says(head(200, "Content-Encoding: gzip") + bomb()))


def test_UP13_a_redirect_of_a_target_is_not_followed(scene: Scene) -> None:
    elsewhere = scene.victim()
    victims = {f"v{at}": scene.victim() for at in range(6)}
    locations = [elsewhere.url(), "/loop", "file:///etc/passwd", "http://169.254.169.254/", "\x7f", "/" + "x" * 7000]
    with watched(scene, **{name: victim.url() for name, victim in victims.items()}):
        for victim, location in zip(victims.values(), locations, strict=True):
            victim.script = says(answer(302, f"Location: {location}"))
        for name, reason in zip(victims, [*["redirect"] * 4, "decode", "redirect"], strict=True):
            sick(scene, name, reason)
    assert elsewhere.heads == []


def test_UP15_what_is_not_http_or_has_no_end_is_left_early(scene: Scene) -> None:
    scripts = {
        "head": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
        "line": endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536),
        "between": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "ssh": says(b"SSH-2.0-OpenSSH_9.2\r\n", pause=1.0),
        "old": says(b"<html>HTTP/0.9</html>\n", pause=1.0),
    }
    victims = {name: scene.victim() for name in scripts}
    with watched(scene, **{name: victim.url() for name, victim in victims.items()}):
        before = scene.daemon.peak_rss()
        for name, victim in victims.items():
            victim.script = scripts[name]
        for name in victims:
            sick(scene, name, "decode")
        assert scene.daemon.peak_rss() - before < GROWTH
        for victim in victims.values():
            victim.script = says(answer(200))
        for name in victims:
            well_again(scene, name)


def faulty(certificate: str, old: bool = False, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(TLS / f"{certificate}.pem")
    if old:
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    if mutual:
        context.load_verify_locations(TLS / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def authorities(folder: Path) -> Path:
    """Those of all certificates of these tests but the one that is signed by itself."""
    file = folder / "authorities.pem"
    file.write_text((TLS / "ca.pem").read_text() + (TLS / "faulty-ca.pem").read_text())
    return file


@contextmanager
def answering_at_once(background: Background) -> Iterator[str]:
    """The URL of a server that does not know TLS, and tells whoever speaks it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        writer.close()

    server = background.run(asyncio.start_server(refuse, "127.0.0.1", 0))
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    background.loop.call_soon_threadsafe(server.close)


def test_UP14_every_fault_of_tls_is_told_as_such(scene: Scene, background: Background) -> None:
    names = ("expired", "future", "other", "selfsigned", "weak")
    stalls = scene.victim()
    config = scene.config()
    config["collectors"]["health"]["tls"] = {"ca_file": str(authorities(scene.folder))}
    with ExitStack() as stack:
        contexts = {name: faulty(name) for name in names}
        contexts |= {"old": faulty("server", old=True), "mutual": faulty("server", mutual=True)}
        contexts["fine"] = server_tls()
        urls = {name: stack.enter_context(shaking_hands(context)) for name, context in contexts.items()}
        urls |= {
            "plain": stack.enter_context(answering_at_once(background)),
            "stalls": stalls.url().replace("http:", "https:"),
        }
        config["targets"]["static"] += [
            {"name": name, "type": "webhook", "url": url + SECRET.removeprefix("/")} for name, url in urls.items()
        ]
        scene.start(config)
        with scene.fault():
            for name in (*names, "old", "plain"):
                sick(scene, name, "tls")
            sick(scene, "stalls", "timeout")
            # It says why it hangs up, but after the handshake: whether that arrives before the end is a matter of luck.
            page = scene.page_with(lambda page: states(page, {"mutual": UNHEALTHY, "fine": HEALTHY}), 5.0)
        assert page.total(ERRORS, target="mutual") == sum(
            page.value(ERRORS, target="mutual", reason=reason) for reason in ("tls", "connect")
        )
        assert {dict(of)["target"] for of in page.series(EXPIRY)} == {"fine"}


def test_UP18_a_proxy_of_the_environment_is_not_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = scene.victim()
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    url = f"http://user:{CANARIES['variable']}@127.0.0.1:{proxy.port}"
    real = scene.environ
    monkeypatch.setattr(Scene, "environ", property(lambda self: {**real, **dict.fromkeys(names, url)}))
    with watched(scene):
        scene.cycles(3)
    assert proxy.heads == []


def test_UP20_a_target_that_flaps_follows_the_threshold_and_floods_no_log(scene: Scene) -> None:
    victim = scene.victim()

    def flaps() -> Script:
        turn = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal turn
            turn += 1
            writer.write(answer(500 if turn % 2 else 200))

        return script

    with watched(scene, flapping=victim.url()) as seen:
        victim.script = flaps()
        page = scene.cycles(12)
        lines = scene.daemon.log_lines("flapping", start=seen.log_start)
    shown = {page.get("publishing_health_status", target="flapping") for page in seen.during}
    assert shown == {HEALTHY, DEGRADED}, "two failures in a row would not do either"
    assert page.value(CHECKS, target="flapping", outcome="failure") >= 5
    assert len(lines) <= 1


# -- a source, asked by the client in a process of its own


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    """The client, with a secret in the environment; all it says is searched for secrets."""
    with client(tmp_path) as made:
        yield made


def client(folder: Path, **options: str) -> AbstractContextManager[Asker]:
    proxy = f"http://user:{CANARIES['variable']}@127.0.0.1:1"
    return asking(folder, {"http_proxy": proxy, "https_proxy": proxy, **canary.ENVIRON}, **options)


@pytest.fixture
def remote(background: Background) -> Iterator[Callable[[Script], Receiver]]:
    """Makes a remote with a script."""
    made: list[Receiver] = []

    def make(script: Script) -> Receiver:
        made.append(Receiver(background, script))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


Remote = Callable[[Script], Receiver]


def refused(asker: Asker, remote: Remote, script: Script, reason: str, **more: Any) -> dict[str, Any]:
    """Asks with secrets in every place: it fails for the reason, shows none, holds up nothing and keeps nothing."""
    receiver = remote(script)
    asker.ask(receiver.url(), timeout=0.01)  # all that is made once is made
    more.setdefault("headers", {"Authorization": f"Bearer {CANARIES['header']}"})
    answer = asker.ask(receiver.url(SECRET), **more)
    assert answer["reason"] == reason, answer
    assert canary.hits("the failure", repr(answer).encode()) == []
    assert answer["grown"] < GROWTH
    assert answer["lag"] < LAG
    until(lambda: receiver.open_now == 0, 2.0, "it hangs up")
    return answer


@pytest.mark.parametrize(
    "wire",
    [
        head(200, "Content-Length: 99") + b"a 1\n",
        head(200, "Transfer-Encoding: chunked") + b"5\r\na 1\n",
        head(200, "Transfer-Encoding: chunked") + b"4\r\na 1\n\r\n",
    ],
    ids=["short", "in a chunk", "between chunks"],
)
def test_UP4_an_answer_that_breaks_off_is_no_answer(asker: Asker, remote: Remote, wire: bytes) -> None:
    refused(asker, remote, says(wire), "decode")


def test_UP5_a_body_that_may_have_been_cut_is_marked(asker: Asker, remote: Remote) -> None:
    cut = asker.ask(remote(says(head(200) + b"a 1\n")).url())
    whole = asker.ask(remote(says(answer(200, body=b"a 1\n"))).url())
    assert (cut["text"], cut["complete"], whole["text"], whole["complete"]) == ("a 1\n", False, "a 1\n", True)


@pytest.mark.parametrize("status", [429, 503])
def test_UP7_a_source_that_asks_for_a_pause_gets_it(asker: Asker, remote: Remote, status: int) -> None:
    source = remote(each(answer(status, "Retry-After: 1"), answer(200, body=b"a 1\n")))
    assert asker.ask(source.url(), fetch=True)["backoff"] is False
    assert asker.ask(source.url(), fetch=True)["backoff"] is True
    assert len(source.heads) == 1
    time.sleep(1.1)
    assert asker.ask(source.url(), fetch=True)["text"] == "a 1\n"


def test_UP8_a_body_in_an_unknown_character_set_is_refused(asker: Asker, remote: Remote) -> None:
    for charset in ("utf-7", "nonsense"):
        script = says(answer(200, f"Content-Type: text/plain; charset={charset}", body=b"a 1\n"))
        refused(asker, remote, script, "decode")
    for lines in ([], ["Content-Type: text/html"]):
        assert asker.ask(remote(says(answer(200, *lines, body=b"<p>"))).url())["text"] == "<p>"


@pytest.mark.parametrize("status", [200, 302, 500])
def test_UP9_a_body_without_end_is_left_at_the_limit(asker: Asker, remote: Remote, status: int) -> None:
    for start, again in (
        (head(status, "Location: /"), b"x" * 65536),
        (head(status, "Location: /", f"Content-Length: {10**15}"), b"x" * 65536),
        (head(status, "Location: /", "Transfer-Encoding: chunked"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ):
        refused(asker, remote, endless(start, again), "too_large", redirects=2)


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500, 503])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_UP10_a_bomb_of_512_mib_costs_one_failure(asker: Asker, remote: Remote, status: int, encoding: str) -> None:
    script = says(head(status, f"Content-Encoding: {encoding}", "Location: /"), bomb(encoding))
    found = refused(asker, remote, script, "too_large", redirects=2)
    assert found["detail"].endswith("once inflated")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate, gzip"])
def test_UP10_other_and_stacked_encodings_are_refused(asker: Asker, remote: Remote, encoding: str) -> None:
    body = packed(bomb(mib=64))
    refused(asker, remote, says(answer(200, f"Content-Encoding: {encoding}", body=body)), "decode")


def test_UP11_a_body_that_is_not_encoded_as_it_says_is_refused(asker: Asker, remote: Remote) -> None:
    for body in (b"a 1\n", packed(b"a 1\n" * 1000)[:-5]):
        refused(asker, remote, says(answer(200, "Content-Encoding: gzip", body=body)), "decode")


def test_UP13_no_credential_follows_a_redirect_to_elsewhere(asker: Asker, remote: Remote) -> None:
    elsewhere = remote(says(answer(200)))
    for location in (elsewhere.url(), "file:///etc/passwd", "ftp://127.0.0.1/", "https://127.0.0.1/", "http://[::1"):
        refused(asker, remote, says(answer(302, f"Location: {location}")), "redirect", redirects=10)
    refused(asker, remote, says(answer(302, "Location: /loop")), "redirect", redirects=10)
    assert elsewhere.heads == []


def test_UP14_every_fault_of_tls_has_its_text(tmp_path: Path) -> None:
    texts = {
        "expired": "the certificate has expired",
        "future": "the certificate is not valid yet",
        "other": "the certificate is for another address",
        "selfsigned": "the certificate is self-signed",
        "weak": "the key of the certificate is too weak",
    }
    with client(tmp_path, ca_file=str(authorities(tmp_path))) as asker:
        for certificate, text in texts.items():
            with shaking_hands(faulty(certificate)) as url:
                found = asker.ask(url + SECRET)
                assert (found["reason"], found["detail"]) == ("tls", text)
        with shaking_hands(faulty("server", mutual=True)) as url:
            assert asker.ask(url)["detail"] == "the remote wants a certificate of ours"
        with shaking_hands(faulty("server", old=True)) as url:
            assert asker.ask(url)["detail"] == "the remote speaks no version of TLS that is safe"


def test_UP17_a_connection_that_was_closed_meanwhile_is_no_failure(asker: Asker, remote: Remote) -> None:
    source = remote(says(answer(200, body=b"a 1\n")))
    for _ in range(20):
        assert asker.ask(source.url())["reason"] is None
    source.close()
    source.open()
    assert asker.ask(source.url())["reason"] is None


def test_UP18_a_configured_proxy_is_asked_and_its_password_is_not_shown(tmp_path: Path, remote: Remote) -> None:
    proxy = remote(each(answer(200, body=b"a 1\n")))
    url = f"http://user:{CANARIES['option']}@127.0.0.1:{proxy.port}"
    with client(tmp_path, proxy=url) as asker:
        assert asker.ask("http://name.example/")["text"] == "a 1\n"
        assert "Proxy-Authorization: Basic" in proxy.heads[0]
        proxy.close()
        found = asker.ask("http://name.example/")
        assert found["reason"] == "connect"
        assert canary.hits("the failure", repr(found).encode()) == []


def test_UP19_a_dead_address_of_a_name_costs_little(asker: Asker, remote: Remote) -> None:
    source = remote(says(answer(200)))
    url = f"http://name.example:{source.port}/"
    asker.ask(source.url())
    for addresses in (["::1", "127.0.0.1"], ["127.0.0.1", "::1"]):
        begin = time.monotonic()
        assert asker.ask(url, addresses=addresses)["reason"] is None
        assert time.monotonic() - begin < 0.5


def test_UP21_the_clock_of_a_source_means_nothing(asker: Asker, remote: Remote) -> None:
    dates = [f"Date: {formatdate(time.time() + 1e7, usegmt=True)}", "Age: 100000000", "Expires: 0"]
    found = asker.ask(remote(says(answer(200, *dates, "Retry-After: 100", body=b"a 1\n"))).url(), fetch=True)
    assert (found["text"], found["retry_after"]) == ("a 1\n", None)
