"""Connections, and the race between the addresses of one name."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from exporter.sources.wire import STAGGER, Wire, dial, first
from tests.fakes.remote import answer, hangs, serve


class Race:
    """Attempts that take as long as told, by address, and end with an error if there is one."""

    def __init__(self, **outcomes: tuple[float, Exception | None]) -> None:
        self.outcomes = outcomes
        self.begun: list[tuple[str, float]] = []
        self.cancelled: list[str] = []
        self.closed: list[str] = []

    async def connect(self, address: str) -> Wire:
        self.begun.append((address, round(asyncio.get_running_loop().time(), 3)))
        seconds, error = self.outcomes[address.replace(":", "_").replace(".", "")]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(address)
            raise
        if error is not None:
            raise error
        wire = Wire(address)
        wire.close = lambda: self.closed.append(address)  # type: ignore[method-assign]
        return wire


@pytest.mark.looptime
async def test_the_first_connection_wins_and_the_others_are_given_up() -> None:
    race = Race(a_=(1.0, None), b=(0.1, None), c=(0.1, None))
    begin = asyncio.get_running_loop().time()
    won = await first(["a:", "b", "c"], race.connect)
    assert won.address == "b"
    assert race.begun == [("a:", begin), ("b", begin + STAGGER)]
    await asyncio.sleep(2)
    assert race.cancelled == ["a:"]
    assert race.closed == []


@pytest.mark.looptime
async def test_a_failure_makes_room_for_the_next_at_once_and_families_take_turns() -> None:
    refused = ConnectionRefusedError(111, "no")
    race = Race(x_1=(0.01, refused), x_2=(0.01, refused), x_3=(0.01, refused), a=(0.01, refused), b=(0.01, None))
    begin = asyncio.get_running_loop().time()
    assert (await first(["x:1", "x:2", "x:3", "a", "b"], race.connect)).address == "b"
    assert [address for address, _ in race.begun] == ["x:1", "a", "x:2", "b"]
    assert asyncio.get_running_loop().time() - begin < STAGGER


@pytest.mark.looptime
async def test_of_two_that_win_at_once_one_is_closed() -> None:
    race = Race(a=(STAGGER + 0.1, None), b=(0.1, None))
    won = await first(["a", "b"], race.connect)
    await asyncio.sleep(1)
    assert sorted([won.address, *race.closed, *race.cancelled]) == ["a", "b"]


@pytest.mark.looptime
async def test_if_none_comes_about_the_most_telling_failure_is_told() -> None:
    race = Race(a=(0.1, ssl.SSLError(1, "bad")), b=(0.2, ConnectionRefusedError(111, "no")))
    with pytest.raises(ssl.SSLError):
        await first(["a", "b"], race.connect)
    race = Race(a=(STAGGER + 0.1, OSError(1, "other")), b=(0.2, ConnectionRefusedError(111, "no")))
    with pytest.raises(ConnectionRefusedError):
        await first(["a", "b"], race.connect)


@pytest.mark.looptime
async def test_giving_up_the_race_gives_up_all_attempts() -> None:
    race = Race(a=(9.0, None), b=(9.0, None))
    racing = asyncio.ensure_future(first(["a", "b"], race.connect))
    await asyncio.sleep(1)
    racing.cancel()
    await asyncio.wait([racing])
    await asyncio.sleep(0)
    assert sorted(race.cancelled) == ["a", "b"]


async def test_a_sender_is_told_to_wait_until_what_it_sent_is_read() -> None:
    sent = 0

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with serve(floods, read=False) as remote:
        wire = await dial("127.0.0.1", remote.port, None, "")
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert wire.received < 1 << 20
        assert not wire.idle
        for _ in range(200):
            assert await wire.some(65536)
        assert sent > before
        wire.close()


async def test_the_end_of_a_connection_that_waits_is_noticed() -> None:
    async with serve(answer(200), read=False) as remote:
        wire = await dial("127.0.0.1", remote.port, None, "")
        while await wire.some(1000):
            pass
        assert not wire.rests()
        wire.close()
    async with serve(hangs, read=False) as remote:
        wire = await dial("127.0.0.1", remote.port, None, "")
        assert wire.rests()
        wire.close()


async def test_what_broke_a_connection_is_told_to_whoever_reads_from_it() -> None:
    wire = Wire("a")
    wire.data_received(b"rest")
    wire.connection_lost(ConnectionResetError(104, "gone"))
    assert await wire.some(10) == b"rest"
    with pytest.raises(ConnectionResetError):
        await wire.some(10)
    ended = Wire("b")
    ended.eof_received()
    with pytest.raises(EOFError):
        await ended.line(10)


async def test_a_lookup_is_never_made_while_connecting() -> None:
    with pytest.raises(OSError):
        await dial("localhost", 1, None, "")
