"""A client that says what it was told to, and a close look at what it is told."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import cast

from tests.fuzz.requests import Visit

_STATUS = re.compile(rb"^HTTP/\d\.\d (\d{3}) ", re.MULTILINE)
# An answer that says the server is at fault; 503 is what the daemon says as long as it has nothing to show.
_FAULTS = frozenset(range(500, 600)) - {503}
_QUIET = 0.1  # seconds after which a client that has been answered, or will not be, loses interest


class Visitor(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def pay(visit: Visit, port: int, patience: float) -> bytes:
    """Sends it all and waits for the end of the connection, which must come within so many seconds.

    Whoever may not have asked for that end closes its own half. Without patience the client goes as soon as nothing
    seems to come any more.
    """
    _, visitor = await asyncio.get_running_loop().create_connection(Visitor, "127.0.0.1", port)
    try:
        for piece in visit.pieces:
            visitor.transport.write(piece)
            await asyncio.sleep(0)
        if patience and not visit.single and not visitor.transport.is_closing():
            with suppress(OSError):  # hung up on in this moment
                visitor.transport.write_eof()
        done, _ = await asyncio.wait([visitor.ended], timeout=patience or _QUIET)
        assert done or not patience, f"the connection is still open after {patience} s"
    finally:
        visitor.transport.abort()
    return bytes(visitor.received)


def judge(visit: Visit, received: bytes) -> None:
    """No fault, nothing but HTTP, nothing of what was sent; one whole answer to one fine request."""
    statuses = [int(status) for status in _STATUS.findall(received)]
    assert not _FAULTS.intersection(statuses), f"answered {statuses}: {received[:500]!r}"
    assert not received or _STATUS.match(received), f"not HTTP: {received[:200]!r}"
    assert visit.mark.lower().encode() not in received.lower(), f"what was sent is repeated: {received[:1000]!r}"
    if visit.single:
        assert len(statuses) == 1, f"{len(statuses)} answers"
        _whole(visit, statuses[0], received)


def _whole(visit: Visit, status: int, received: bytes) -> None:
    head, _, body = received.partition(b"\r\n\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])}
    if not b"".join(visit.pieces).startswith(b"HEAD"):
        assert int(fields[b"content-length"]) == len(body), f"the length is not that of the body: {head!r}"
        if status >= 400:
            assert set(json.loads(body)) == {"error"}, "a refusal that is not in our form"
    assert {b"x-content-type-options", b"content-type"} <= fields.keys(), f"a header is missing: {head!r}"
