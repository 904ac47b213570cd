"""Calls on threads, one after the other."""

from __future__ import annotations

import asyncio
import threading

import pytest

from exporter.engine.threads import DaemonPool
from exporter.sources.reading import Reader


async def test_a_call_that_hangs_is_waited_for_by_the_next_and_takes_one_thread() -> None:
    pool = DaemonPool("places", 4)
    reader, release, calls = Reader(pool), threading.Event(), list[int]()

    def hang() -> None:
        calls.append(1)
        release.wait()

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await reader(hang)
    assert calls == [1]
    release.set()
    assert await reader(lambda: 7) == 7


async def test_what_a_call_raises_is_for_whoever_waits_and_for_nobody_else() -> None:
    reader = Reader(DaemonPool("places", 1))

    def fail() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await reader(fail)
    assert await reader(lambda: 1) == 1


async def test_a_failure_that_comes_too_late_is_not_an_unhandled_one() -> None:
    """Else the log would say so, with the text of the library."""
    reader, release = Reader(DaemonPool("places", 1)), threading.Event()
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    def fail() -> None:
        release.wait()
        raise OSError("gone")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await reader(fail)
    release.set()
    await reader(lambda: None)
    assert unhandled == []


async def test_closing_ends_the_wait() -> None:
    reader, release = Reader(DaemonPool("places", 1)), threading.Event()
    reader.close()
    waiting = asyncio.create_task(reader(release.wait))
    await asyncio.sleep(0.01)
    reader.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()
