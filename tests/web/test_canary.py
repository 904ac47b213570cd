"""Where canaries come back: what is taken, and what is refused without being read, told back or logged."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from exporter.web import canary as module
from exporter.web.canary import LARGEST, PATH
from exporter.web.connections import Limits
from tests.fakes.authority import Authority
from tests.web.conftest import Home, Running, serving
from tests.web.test_access import HASH, Files, behind, login

QUICK = Limits(linger=0.02, farewell=0.1, sweep=0.05)
MARK = "zqReflected5"
HOME = Home()
BEARER = f"Authorization: Bearer {HOME.token.decode()}"
JSON = "Content-Type: application/json"
HEADERS = {"Authorization": f"Bearer {HOME.token.decode()}"}


def notification(*ids: str) -> dict[str, Any]:
    """As Alertmanager sends it."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "PlatformExporterCanary", "canary_id": id},
            "annotations": {"summary": "s"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "5ef77f1f8a3ecf8d",
        }
        for id in ids
    ]
    return {"receiver": "canary", "status": "firing", "alerts": alerts, "version": "4", "truncatedAlerts": 0}


async def raw(
    site: Running, *lines: str, body: bytes = b"", last: tuple[str, ...] = ("Connection: close",)
) -> tuple[int, Any]:
    """The answer to a request sent as it stands, once the connection has been closed."""
    host, _, port = site.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write("\r\n".join([f"POST {PATH} HTTP/1.1", "Host: x", *last, *lines, "", ""]).encode() + body)
    async with asyncio.timeout(5):
        head, _, said = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert MARK.encode() not in head + said
    return int(head.split()[1]), json.loads(said)


async def test_ids_of_a_notification_come_home() -> None:
    home = Home()
    async with serving(limits=QUICK, canaries=home) as site:
        async with site.client.post(site.url(PATH), json=notification("a", "b"), headers=HEADERS) as answer:
            assert (answer.status, await answer.json()) == (200, {"received": 2})
            assert answer.headers["Connection"] == "close"  # whatever else came is not taken for a request
        assert home.returned_ids == ["a", "b"]
        assert site.counted() == {(PATH, "POST", "200"): 1}


async def test_alerts_without_an_id_are_none_of_ours() -> None:
    home = Home()
    others = {"alerts": [{"labels": {"alertname": "x"}}, {"labels": {}}]}
    body = json.dumps(others).encode()
    async with serving(limits=QUICK, canaries=home) as site:
        assert await raw(site, BEARER, JSON, f"Content-Length: {len(body)}", body=body) == (200, {"received": 0})
    assert home.returned_ids == []


async def test_a_body_that_comes_in_pieces_is_put_together() -> None:
    home = Home()
    body = json.dumps(notification("a")).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
    async with serving(limits=QUICK, canaries=home) as site:
        said = await raw(site, BEARER, JSON, "Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    assert said == (200, {"received": 1})


async def test_without_a_canary_there_is_nothing_to_come_back() -> None:
    for home in (None, Home(expecting=False)):
        async with serving(limits=QUICK, canaries=home) as site:
            status, said = await raw(site, BEARER, JSON, "Content-Length: 100")
            assert (status, said["error"]["code"]) == (404, "no_canary")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Authorization: "],
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        [f"Authorization: Bearer {MARK}"],
        [f"Authorization: Basic {HOME.token.decode()}"],
        [f"Authorization: {HOME.token.decode()}"],
        [f"{BEARER}x"],
        [BEARER.lower()[:-1]],
        [BEARER, BEARER],
        ["Authorization: Bearer \xff\xfe"],
        [f"X-{BEARER}"],
    ],
)
async def test_without_the_token_no_byte_of_the_body_is_waited_for(lines: list[str]) -> None:
    home = Home()
    async with serving(limits=QUICK, canaries=home) as site:
        status, said = await raw(site, *lines, JSON, "Content-Length: 1000")
    assert (status, said["error"]["code"]) == (401, "unauthorized")
    assert home.returned_ids == []


DEEP = b'{"alerts":' + b"[" * 20_000
HOSTILE = [
    b"",
    b"{}",
    b"null",
    b"[]",
    b'"alerts"',
    b'{"alerts": null}',
    b'{"alerts": {}}',
    b'{"alerts": [1]}',
    b'{"alerts": [{"labels": []}]}',
    b'{"alerts": [{"labels": {"canary_id": 1}}]}',
    b'{"alerts": [{"labels": {"canary_id": "' + MARK.encode() + b'"}}]',
    b'{"alerts": [{"labels": {"canary_id": "\xff"}}]}',
    b'{"alerts": [{"labels": {"' + MARK.encode() + b'": NaN}}]}',
    b'{"alerts": []}' + MARK.encode(),
    DEEP,
    b'{"x":' + b'{"a":' * 8_000,
    b"\0" * 1000,
    MARK.encode() * 1000,
    b'{"alerts": [' + b"1" * 40_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_body_is_refused_and_neither_told_back_nor_logged(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home = Home()
    async with serving(limits=QUICK, canaries=home) as site:
        status, said = await raw(site, BEARER, JSON, f"Content-Length: {len(body)}", body=body)
        assert (status, said["error"]["code"]) == (400, "bad_body")
    assert home.returned_ids == []
    assert MARK not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_what_is_in_a_notification_of_another_kind_is_passed_over() -> None:
    """A later version may say more, in any form."""
    home = Home()
    body = json.dumps({**notification("a"), "future": [{"x": [1, None, {"y": "z"}]}]}).encode()
    async with serving(limits=QUICK, canaries=home) as site:
        assert (await raw(site, BEARER, JSON, f"Content-Length: {len(body)}", body=body))[0] == 200


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([f"Content-Length: {LARGEST + 1}"], b""),
        (["Content-Length: 3000000"], bytes(300_000)),
        (["Content-Length: 99999999999999999999"], b"x"),
        (["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n" % (LARGEST + 1, bytes(LARGEST + 1))),
        (["Transfer-Encoding: chunked"], (b"1000\r\n" + bytes(0x1000) + b"\r\n") * 100),
    ],
)
async def test_a_body_that_is_too_large_is_not_waited_for(lines: list[str], body: bytes) -> None:
    async with serving(limits=QUICK, canaries=Home()) as site:
        status, said = await raw(site, BEARER, JSON, *lines, body=body)
    assert (status, said["error"]["code"]) in ((413, "too_large"), (400, "malformed"))


async def test_one_of_just_the_largest_size_is_taken() -> None:
    body = json.dumps(notification("a")).encode().ljust(LARGEST)
    async with serving(limits=QUICK, canaries=Home()) as site:
        said = await raw(site, BEARER, JSON, f"Content-Length: {len(body)}", body=body)
    assert said == (200, {"received": 1})


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Type: text/plain"],
        [],
        ["Content-Type: application/x-www-form-urlencoded"],
        ["Content-Type: application/jsonx"],
        [JSON, "Content-Encoding: gzip"],
        [JSON, "Content-Encoding: br"],
    ],
)
async def test_only_plain_json_is_taken(lines: list[str]) -> None:
    body = gzip.compress(bytes(10 << 20))
    async with serving(limits=QUICK, canaries=Home()) as site:
        status, said = await raw(site, BEARER, *lines, f"Content-Length: {len(body)}", body=body)
    assert (status, said["error"]["code"]) == (415, "unsupported_media_type")


async def test_a_character_set_may_be_stated() -> None:
    body = json.dumps(notification("a")).encode()
    async with serving(limits=QUICK, canaries=Home()) as site:
        said = await raw(site, BEARER, f"{JSON}; charset=utf-8", f"Content-Length: {len(body)}", body=body)
    assert said == (200, {"received": 1})


async def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    async with serving(limits=QUICK, canaries=Home()) as site:
        status, said = await raw(site, BEARER, JSON, "Content-Length: 100", body=b'{"alerts": [')
    assert (status, said["error"]["code"]) == (408, "timeout")


async def test_a_body_that_is_framed_wrongly_is_malformed(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(limits=QUICK, canaries=Home()) as site:
        status, said = await raw(site, BEARER, JSON, "Transfer-Encoding: chunked", body=b"2\r\n{}zz\r\n")
        assert (status, said["error"]["code"]) == (400, "malformed")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    home = Home()
    async with serving(canaries=home, limits=QUICK) as site:
        host, _, port = site.address.rpartition(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{BEARER}\r\n{JSON}\r\nContent-Length: 99\r\n\r\n{{".encode()
            )
            await writer.drain()
            await asyncio.sleep(0.01)  # it has been read by then, or most have
            writer.close()
        async with asyncio.timeout(5):
            while site.counted("http_connections") != {(): 0.0}:
                await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_request_behind_a_body_is_not_looked_at() -> None:
    """Where a body ends is what its sender says: nothing behind it is taken for a request."""
    body = json.dumps(notification("a")).encode()
    smuggled = b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(limits=QUICK, canaries=Home(), enable_lifecycle=True) as site:
        await raw(site, BEARER, JSON, f"Content-Length: {len(body)}", body=body + smuggled, last=())
        assert site.reloads == []
        assert set(site.counted()) == {(PATH, "POST", "200")}


async def test_neither_the_switch_nor_a_login_is_needed_and_a_login_is_not_enough(tmp_path: Path) -> None:
    files = Files(tmp_path, Authority(tmp_path))
    files.users(ann=HASH)
    async with behind(files.web, canaries=Home()) as (site, _):
        async with site.client.post(site.url(PATH), json=notification("a"), headers=HEADERS) as answer:
            assert answer.status == 200
        async with site.client.post(site.url(PATH), json=notification("a"), headers=login()) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (await site.get(PATH, headers=HEADERS))[0] == 401
        for path in ("/metrics", "/-/reload"):
            async with site.client.post(site.url(path), json={}, headers=HEADERS) as answer:
                assert answer.status == 401


async def test_a_required_certificate_is_required_here_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = Files(tmp_path, authority)
    files.clients(authority.issue("server"))
    pair = authority.issue("client")
    async with behind(files.web, canaries=Home()) as (site, _):
        url = site.url(PATH).replace("127.0.0.1", "localhost")
        for tls, status in ((files.client(), 403), (files.client(pair), 200)):
            async with site.client.post(url, json=notification("a"), headers=HEADERS, ssl=tls) as answer:
                assert answer.status == status


async def test_the_description_has_the_body_and_the_token() -> None:
    async with serving() as site:
        described = json.loads((await site.get("/openapi.json"))[1])
    operation = described["paths"][PATH]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert reference.rpartition("/")[2] in described["components"]["schemas"]
    assert [list(one) for one in operation["security"]] == [list(described["components"]["securitySchemes"])]
    assert "requestBody" not in described["paths"]["/-/reload"]["post"]
