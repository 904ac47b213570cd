"""What arrives at a server that anybody can reach: requests, nearly requests, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz import headers
from tests.fuzz.mutate import mutated

_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "get")
_ODD_METHODS = ("", "G ET", "GET\t", "{0}", "G\x00T", "É", "M" * 9000, "-", "*")
_PATHS = ("/metrics", "/", "/-/healthy", "/-/ready", "/-/reload", "/openapi.json", "/events", "/{0}", "/metrics/", "*")
_TARGETS = "/api/v2/publishing/targets"
_NAMED = (f"{_TARGETS}?type={{0}}", f"{_TARGETS}/{{0}}%2F%ff/%25{{0}}", f"{_TARGETS}/health/{{0}}/check", "/sd/targets")
_ODD_PATHS = ("//metrics", "/../metrics", "/%2e%2e/{0}", "/%00{0}", "/%", "/%zz", "http://{0}/metrics", "{0}:443", "")
_MORE_PATHS = ("/metrics;{0}", "/metrics#{0}", "/\x01{0}", "/ä{0}", "/\\{0}", "http://[{0}", "http://a:b:c/", "/ /{0}")
_QUERIES = ("name[]={0}", "collect[]={0}", "exclude[]=health", "name[]=publishing_health_status", "collect[]=health")
_ODD_QUERIES = (
    "name%5B%5D=a",
    "%",
    "&&=&=",
    "collect[]=%ff%fe{0}",
    "name[]=%00",
    "name[]=a&" * 300,
    "dry_run={0}",
    "?",
)
_VERSIONS = ("HTTP/1.1",) * 8 + ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", "HTTP/{0}", "", "HTTP/11")
_HOSTS = ("localhost", "{0}", "", "[::1", "a\x00b", "a, b", "a:99999", "é", "127.0.0.1:80\thttp", "x" * 9000)
_PLAIN = (
    "User-Agent: {0}",
    "Cookie: {0}={0}",
    "Referer: http://{0}",
    "X-Forwarded-For: {0}",
    "Origin: {0}",
    "{0}: {0}",
)
_MEANING = (
    *("Connection: close", "Connection: keep-alive", "Connection: upgrade, {0}", "Upgrade: h2c", "Upgrade: websocket"),
    *(
        "Expect: 100-continue",
        "Expect: {0}",
        "Range: bytes=0-1",
        "If-None-Match: *",
        "If-Modified-Since: {0}",
        "TE: {0}",
    ),
    *("Authorization: Basic {0}", "Authorization: Bearer {0}", "Content-Type: application/json; charset={0}"),
    *("Content-Encoding: gzip", "Content-Encoding: br", "Last-Event-ID: {0}", "Sec-WebSocket-Key: {0}", "Origin: null"),
    *("Content-Length: 0", "Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999"),
    *("Content-Length: 5, 6", "Content-Length: +5", "Content-Length: 0x5", "Content-Length: ٣", "Content-Length:"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: {0}", "Trailer: {0}"),
    *("Transfer-Encoding: chunked, identity", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding : chunked"),
)
_ODD_LINES = (
    " folded {0}",
    "\tfolded",
    "no colon {0}",
    ": no name {0}",
    "a b: {0}",
    "a\x00: {0}",
    "a: \x00{0}",
    "\x80: {0}",
)
_MORE_LINES = (
    "a: \x7f",
    "a: é",
    "a: " + "{0}" * 2000,
    "a" * 9000 + ": b",
    "a: b\rc: {0}",
    "a: b\nc: {0}",
    "(: )",
    "a:",
)
_BODIES = (
    "",
    "",
    "",
    "{0}",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;{0}\r\nhello\r\n0\r\n{0}: {0}\r\n\r\n",
    "0\r\n\r\n",
)
_ODD_BODIES = (
    "fffffffffffffffff\r\n",
    "-5\r\n",
    "5\r\nhel",
    "5\nhello\n0\n\n",
    "{0}" * 9000,
    "\x1f\x8b\x08",
    "GET / HTTP/1.1",
)

_TOKENS = [
    *(
        token.encode("utf-8", "surrogateescape")
        for token in (*_MEANING, *_BODIES[4:], *_ODD_METHODS, *_VERSIONS, *_HOSTS)
    ),
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\n\n",
        b" ",
        b"\t",
        b":",
        b"\x00",
        b"\xff",
        b"%",
        b"HTTP/1.1",
        b"GET ",
        b"?",
    ),
]
_NOISE = (
    *(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ),
    *(
        b"\r\n" * 5000,
        b"\x00" * 100,
        b"\x05\x01\x00",
        b"EHLO x\r\n",
        b"GET /\r\n",
        b"\x80\x80\x01\x03\x01",
        b"*1\r\n$4\r\n",
    ),
)


@dataclass(frozen=True)
class Visit:
    """What one client sends on one connection, in how many pieces, and the words no answer and no log may repeat."""

    pieces: Sequence[bytes]
    mark: str
    single: bool  # one well-formed request, so there is one answer to it

    @property
    def streams(self) -> bool:
        """Whether an answer may have no end."""
        return b"/events" in b"".join(self.pieces)


def visit(dice: Random, seed: int) -> Visit:
    """The visit of this seed."""
    mark = f"zqM{seed:x}Kq"
    kind = dice.random()
    if kind < 0.3:
        data, single = _fine(dice), True
    elif kind < 0.95:
        requests = [_request(dice) for _ in range(dice.choice((1, 1, 1, 2, 5)))]
        data, single = mutated(dice, b"".join(requests), _TOKENS, dice.choice((0, 1, 4))), False
    else:
        data, single = mutated(dice, dice.choice(_NOISE), _TOKENS) + dice.randbytes(dice.randrange(200)), False
    return Visit(_pieces(dice, data.replace(b"{0}", mark.encode())), mark, single)


def _fine(dice: Random) -> bytes:
    """A request that nobody could object to, except to where it leads."""
    method, path = dice.choice(_METHODS[:7]), dice.choice((*_PATHS[:6], *_PATHS[7:9]))
    query = "&".join(dice.sample(_QUERIES, dice.choice((0, 0, 1, 2))))
    lines = [f"{method} {path}{'?' * bool(query)}{query} HTTP/1.1", "Host: {0}", *dice.sample(_PLAIN[:5], 2)]
    lines += [f"Accept: {_seen(headers.accept(dice))}", f"Accept-Encoding: {_seen(headers.accept_encoding(dice))}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _seen(value: str) -> str:
    """The printable part of a header."""
    return "".join(character for character in value if " " <= character <= "~")[:4000]


def _request(dice: Random) -> bytes:
    method = dice.choice(_METHODS if dice.random() < 0.9 else _ODD_METHODS)
    target = dice.choice(_PATHS + _NAMED if dice.random() < 0.8 else _ODD_PATHS + _MORE_PATHS)
    if dice.random() < 0.3:
        target += "?" + "&".join(dice.choices(_QUERIES + _ODD_QUERIES, k=dice.randrange(1, 4)))
    lines = [f"{method} {target} {dice.choice(_VERSIONS)}"]
    if dice.random() < 0.9:
        lines.append(f"Host: {dice.choice(_HOSTS[:2] if dice.random() < 0.8 else _HOSTS)}")
    lines += dice.choices(_PLAIN + _MEANING, k=dice.choice((0, 1, 3, 6)))
    if dice.random() < 0.15:
        lines += dice.choices(_ODD_LINES + _MORE_LINES, k=dice.randrange(1, 3))
    if dice.random() < 0.02:
        lines += ["x-{0}: {0}"] * 300
    dice.shuffle(lines[1:])
    end = "\r\n" if dice.random() < 0.95 else "\n"
    body = dice.choice(_BODIES if dice.random() < 0.8 else _ODD_BODIES)
    return (end.join([*lines, "", ""]) + body).encode(errors="surrogateescape")


def _pieces(dice: Random, data: bytes) -> list[bytes]:
    if dice.random() < 0.7:
        return [data]
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(1, 6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
