"""What remotes answer: as they should, nearly so, and not at all."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from random import Random

from tests.fuzz.mutate import mutated

LARGEST = 64 << 10  # bytes of a body that the client under test takes

_STATUSES = (*("200",) * 6, "204", "301", "304", "401", "404", "429", "500", "503", "599", "999")
_ODD_STATUSES = ("100", "101", "103", "000", "99", "1000", "-1", "2oo", "", "٢٠٠", "+20", " 200", "200\t")
_VERSIONS = ("HTTP/1.1",) * 8 + ("HTTP/1.0", "HTTP/2", "HTTP/1.1 ", "ICY", "http/1.1", "HTTP/1.10", "")
_REASONS = ("OK", "", "{0}", "é" * 20, "a\x00b", "x" * 9000, "\x1b[31m{0}", "OK\rSet-Cookie: a")
_FIELDS = (
    *(
        "Date: Fri, 20 Nov 2026 10:00:00 GMT",
        "Server: {0}",
        "Connection: close",
        "Connection: keep-alive",
        "X-{0}: {0}",
    ),
    *("Set-Cookie: a={0}; Domain=x", "Content-Type: text/plain; charset={0}", "Content-Type: application/json"),
    *("Retry-After: 5", "Retry-After: -5", "Retry-After: {0}", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    *("Retry-After: Fri, 31 Dec 99999999 23:59:59 GMT", "Retry-After: " + "9" * 5000, "Retry-After: ٣", "Retry-After:"),
    *("Location: /{0}", "Location: http://[", "Location: http://169.254.169.254/{0}", "Location: //x\\@y", "Location:"),
    *("Upgrade: h2c", "Trailer: x", "Keep-Alive: timeout=0", "Strict-Transport-Security: {0}", "WWW-Authenticate: {0}"),
)
_FRAMES = (
    *("Content-Length: 0", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5, 6"),
    *("Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 0x5", "Content-Length: ٣", "Content-Length:"),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: {0}",
        "Content-Encoding: br",
    ),
    *("Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: gzip, gzip", "Content-Encoding: {0}"),
)
_LINES = (
    " folded {0}",
    "\tfolded",
    "no colon {0}",
    ": no name",
    "a b: c",
    "a: \x00",
    "a\x80: b",
    "a: " + "{0}" * 3000,
    "x: y\rz",
)
_CHUNKS = (
    b"0\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"-1\r\n",
    b"5\r\nhello\r\n",
    b"5;{0}\r\nhello\r\n",
    b"5\nhello\n",
    b"0x5\r\n",
)
_TOKENS = [
    *(token.encode("utf-8", "surrogateescape") for token in (*_FIELDS, *_FRAMES, *_LINES, *_STATUSES, *_ODD_STATUSES)),
    *(
        *_CHUNKS,
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b"\x00",
        b"\xff",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x1f\x8b",
    ),
]
_WINDOWS = {"gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True)
class Played:
    """What the remote sends and how it ends; `plain` is the body it means, if the answer is beyond doubt."""

    data: bytes
    ending: str  # keep, close, abort or hang
    status: int = 0
    plain: bytes | None = None


def played(dice: Random, seed: int) -> Played:
    """The answer of this seed."""
    kind = dice.random()
    if kind < 0.35:
        return _honest(dice)
    if kind < 0.9:
        data = mutated(
            dice, _honest(dice).data if dice.random() < 0.5 else _answer(dice), _TOKENS, dice.choice((0, 1, 4))
        )
    elif kind < 0.95:
        data = _bomb(dice)
    else:
        data = dice.randbytes(dice.randrange(300))
    ending = "hang" if dice.random() < 0.004 else dice.choice(("close", "close", "abort"))
    return Played(data.replace(b"{0}", mark(seed).encode()), ending)


def mark(seed: int) -> str:
    """What is only in the answer of this seed, and in no text of ours."""
    return f"zqA{seed:x}Kq"


def _honest(dice: Random) -> Played:
    """An answer as every server should send it."""
    plain = _plain(dice)
    status, encoding, framing = (
        dice.choice((200, 200, 404, 503)),
        dice.choice(("", "gzip", "deflate")),
        dice.randrange(3),
    )
    fields = ["Date: Fri, 20 Nov 2026 10:00:00 GMT", "Content-Type: application/json"]
    wire = plain
    if encoding:
        packer = zlib.compressobj(dice.randrange(10), zlib.DEFLATED, _WINDOWS[encoding])
        wire = packer.compress(plain) + packer.flush()
        fields.append(f"Content-Encoding: {encoding}")
    if framing == 0:
        fields.append(f"Content-Length: {len(wire)}")
    elif framing == 1:
        fields.append("Transfer-Encoding: chunked")
        wire = _chunked(dice, wire)
    dice.shuffle(fields)
    interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * dice.choice((0, 0, 0, 1, 3))
    head = interim + "\r\n".join([f"HTTP/1.1 {status} Fine", *fields, "", ""])
    return Played(head.encode() + wire, "close" if framing == 2 else dice.choice(("keep", "close")), status, plain)


def _plain(dice: Random) -> bytes:
    size = min(int(20 * dice.paretovariate(0.5)), LARGEST - 2000)
    return dice.randbytes(size) if dice.random() < 0.5 else json.dumps({"a": ["x"] * (size // 5)}).encode()


def _chunked(dice: Random, data: bytes) -> bytes:
    parts = []
    while data:
        size = dice.randrange(1, max(2, min(len(data), 30_000)) + 1)
        piece, data = data[:size], data[size:]
        parts.append(f"{len(piece):{dice.choice('xX')}}{dice.choice(('', '', ';a=b'))}\r\n".encode() + piece + b"\r\n")
    trailer = b"X-Trailer: a\r\n" if dice.random() < 0.2 else b""
    return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


def _answer(dice: Random) -> bytes:
    status = dice.choice(_STATUSES if dice.random() < 0.8 else _ODD_STATUSES)
    lines = [f"{dice.choice(_VERSIONS)} {status} {dice.choice(_REASONS[:3] if dice.random() < 0.8 else _REASONS)}"]
    lines += dice.choices(_FIELDS, k=dice.randrange(5)) + dice.choices(_FRAMES, k=dice.choice((0, 1, 1, 2)))
    if dice.random() < 0.15:
        lines += dice.choices(_LINES, k=dice.randrange(1, 3))
    if dice.random() < 0.03:
        lines += ["a: b"] * dice.choice((200, 300, 20_000))
    body = b"".join(dice.choices(_CHUNKS, k=dice.randrange(4))) if dice.random() < 0.5 else _plain(dice)
    return ("\r\n" if dice.random() < 0.9 else "\n").join([*lines, "", ""]).encode(errors="surrogateescape") + body


def _bomb(dice: Random) -> bytes:
    """Little on the wire, and far more than is taken once it is inflated."""
    encoding = dice.choice(tuple(_WINDOWS))
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOWS[encoding])
    data = packer.compress(bytes(LARGEST * dice.choice((1, 2, 20)))) + packer.flush()
    if dice.random() < 0.3:
        data *= 3
    return f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
