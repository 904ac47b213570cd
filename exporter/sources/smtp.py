"""A mail server, greeted and left again: it answers, and how long its certificate lasts."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.wire import Wire

SCHEME = "smtp://"
_TLS_AT_ONCE = 465
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?")
_LONGEST_LINE = 2048
_MOST_LINES = 128


class Place(NamedTuple):
    """Where a mail server listens."""

    host: str
    port: int

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS from the first byte."""
        return self.port == _TLS_AT_ONCE


def place(url: str) -> Place:
    """The host and port of a URL such as smtp://mail.example.org:587."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 25
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        host = ""
    if not host:
        raise Failure(Reason.CONFIG, "the url cannot be used")
    return Place(host, port)


async def greet(wire: Wire, tls: ssl.SSLContext, server_name: str) -> int:
    """The code of the server's greeting. If it offers TLS that is begun: its certificate is verified and noted."""
    code, _ = await _answer(wire)
    if code != 220:
        return code
    wire.send(b"EHLO localhost\r\n")
    known, offers = await _answer(wire)
    if wire.tls is None and known == 250 and "STARTTLS" in offers:
        wire.send(b"STARTTLS\r\n")
        ready, _ = await _answer(wire)
        if ready != 220:
            return ready
        await _encrypt(wire, tls, server_name)
    wire.send(b"QUIT\r\n")
    return code


async def _answer(wire: Wire) -> tuple[int, frozenset[str]]:
    """Code and first words of an answer, which may have several lines."""
    words: list[str] = []
    for _ in range(_MOST_LINES):
        found = _LINE.fullmatch(await wire.line(_LONGEST_LINE))
        if found is None:
            raise Failure(Reason.DECODE, "the answer is not SMTP")
        words += (found[3] or b"").decode("latin-1").upper().split()[:1]
        if found[2] != b"-":
            return int(found[1]), frozenset(words)
    raise Failure(Reason.DECODE, "the answer has too many lines")


async def _encrypt(wire: Wire, tls: ssl.SSLContext, server_name: str) -> None:
    if not wire.idle:
        raise Failure(Reason.DECODE, "the server goes on in plain text after it agreed to TLS")
    transport = await asyncio.get_running_loop().start_tls(wire.transport, wire, tls, server_hostname=server_name)
    if transport is None:  # it was lost meanwhile
        raise EOFError
    wire.secured(transport, tls)
