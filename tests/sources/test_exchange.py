"""Answers that nobody would think of: any bytes at all leave the reader with an answer or with a reason."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.exchange import Limits, read_body, read_head
from exporter.sources.wire import Wire
from tests.fakes.bodies import head, packed
from tests.fakes.remote import answer

LIMITS = Limits(body=4096, line=256, head=1024, fields=16, interim=3)
_CHUNKED = head(200, "Transfer-Encoding: chunked", "Content-Encoding: gzip")
SEEDS = (
    answer(200, "Content-Type: text/plain", "Retry-After: 5", body=b"a 1\nb 2\n"),
    answer(500, "Content-Encoding: gzip", body=packed(b"some text " * 100)),
    answer(200, "Content-Encoding: deflate", body=packed(bytes(5000), "raw")),
    _CHUNKED + b"1e\r\n" + packed(b"x" * 2000)[:30] + b"\r\n0\r\nX-Trailer: y\r\n\r\n",
    head(200) + b"ends with the connection",
    b"HTTP/1.1 100 Go on\r\n\r\n" * 2 + answer(204),
)
_WORDS = (
    b"\r\n",
    b"\n",
    b"\0",
    b":",
    b"chunked",
    b"gzip",
    b"0\r\n\r\n",
    b"ffff",
    b"-1",
    b"9" * 20,
    b"\xff",
    b"HTTP/1.1 ",
)


class Silent(asyncio.Transport):
    """Stands for the connection: all that was sent is there already."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def mutated(seed: bytes, dice: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0:
                data[at:at] = dice.choice(_WORDS)
            case 1:
                del data[at : at + dice.randint(1, 20)]
            case 2:
                data[at : at + 1] = dice.randbytes(1)
            case 3:
                data[at:at] = data[max(0, at - 30) : at] * dice.randint(1, 30)
            case 4:
                del data[at:]
    return bytes(data)


async def understood(data: bytes, dice: random.Random) -> Reason | None:
    """How it was read: the reason why not, or None; what else is raised is for the test to find."""
    wire = Wire("192.0.2.1")
    wire.connection_made(Silent())
    cut = dice.randrange(len(data) + 1)
    wire.data_received(data[:cut])
    asyncio.get_running_loop().call_soon(_rest, wire, data[cut:])
    try:
        found = await read_head(wire, LIMITS)
        body, _ = await read_body(wire, found, LIMITS)
    except Failure as failure:
        return failure.reason
    except EOFError:
        return Reason.DECODE
    assert 100 < found.status <= 999
    assert len(body) <= LIMITS.body
    return None


def _rest(wire: Wire, data: bytes) -> None:
    if data:
        wire.data_received(data)
    wire.eof_received()
    wire.connection_lost(None)


async def fuzz(number: int, seed: int) -> None:
    dice = random.Random(seed)
    seen: dict[Any, int] = {}
    for _ in range(number):
        data = mutated(dice.choice(SEEDS), dice)
        begin = time.process_time()
        outcome = await understood(data, dice)
        assert time.process_time() - begin < 0.1, data
        seen[outcome] = seen.get(outcome, 0) + 1
    assert set(seen) == {None, Reason.DECODE, Reason.TOO_LARGE}


async def test_ten_thousand_mutated_answers_end_with_an_answer_or_a_reason() -> None:
    await fuzz(10_000, seed=1)


@pytest.mark.slow
async def test_a_hundred_thousand_mutated_answers_end_with_an_answer_or_a_reason() -> None:
    await fuzz(100_000, seed=2)


async def test_the_seeds_of_the_fuzzing_are_understood() -> None:
    dice = random.Random(0)
    found = [await understood(seed, dice) for seed in SEEDS]
    assert found == [None, None, Reason.TOO_LARGE, Reason.DECODE, None, None]


async def test_an_answer_may_come_byte_by_byte() -> None:
    wire = Wire("192.0.2.1")
    wire.connection_made(Silent())
    data = answer(200, "X: y", "Content-Encoding: gzip", body=packed(b"hello"))

    async def send() -> None:
        for byte in data:
            wire.data_received(bytes([byte]))
            await asyncio.sleep(0)

    sending = asyncio.ensure_future(send())
    found = await read_head(wire, LIMITS)
    assert await read_body(wire, found, LIMITS) == (b"hello", True)
    await sending
    assert found.headers["x"] == "y"
    assert wire.rests()


def whole(data: bytes) -> Wire:
    """A connection over which all of this came, and then the end."""
    wire = Wire("192.0.2.1")
    wire.connection_made(Silent())
    _rest(wire, data)
    return wire


async def turns(wire: Wire, limits: Limits) -> int:
    """How often others had their turn while a body was read that was there already."""
    number = 0

    async def count() -> None:
        nonlocal number
        while True:
            number += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await asyncio.sleep(0)
    before = number
    await read_body(wire, await read_head(wire, limits), limits)
    counting.cancel()
    return number - before


async def test_up9_many_small_chunks_leave_others_their_turn() -> None:
    chunks = head(200, "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
    assert await turns(whole(chunks), Limits()) >= 30


async def test_up10_a_lot_that_comes_of_little_leaves_others_their_turn() -> None:
    bomb = answer(200, "Content-Encoding: gzip", body=packed(bytes(8 << 20)))
    assert await turns(whole(bomb), Limits()) >= 30


@pytest.mark.parametrize("beyond", [0, 1, 2, 100, 257, 258, 259, 1000])
async def test_output_that_waits_for_the_next_step_is_not_forgotten(beyond: int) -> None:
    """Without a checksum behind it, all of a packed body may be read before all of the plain one is out."""
    for steps in (1, 2, 3):
        plain = b"z" * ((steps << 18) + beyond)
        wire = whole(answer(200, "Content-Encoding: deflate", body=packed(plain, "raw")))
        body, _ = await read_body(wire, await read_head(wire, Limits()), Limits())
        assert body == plain
