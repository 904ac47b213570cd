"""Pools of daemon threads: bounded, and every call accounted for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.engine import threads
from exporter.engine.threads import DaemonPool

SAFE = 30.0


class Held:
    """A call that lasts until it is released."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.begun = asyncio.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.release.wait(SAFE)
        return "done"


@pytest.fixture
async def held() -> Held:
    return Held(asyncio.get_running_loop())


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until something is true."""
    async with asyncio.timeout(SAFE):
        while not condition():
            await asyncio.sleep(0)


async def test_a_call_runs_on_a_daemon_thread_of_the_pool() -> None:
    thread = await DaemonPool("files", 1)(threading.current_thread)
    assert thread.daemon
    assert thread.name == "files-1"


async def test_threads_are_used_again_and_never_more_than_allowed() -> None:
    pool = DaemonPool("calls", 2)
    many = await asyncio.gather(*[pool(threading.get_ident) for _ in range(50)])
    assert len(set(many)) <= 2


async def test_an_exception_is_the_caller_s() -> None:
    pool = DaemonPool("calls", 1)
    with pytest.raises(ZeroDivisionError):
        await pool(lambda: 1 // 0)
    assert await pool(lambda: 2) == 2


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration, Odd])
async def test_what_would_end_more_than_the_call_arrives_as_an_ordinary_error(error: type[BaseException]) -> None:
    pool = DaemonPool("calls", 1)

    def call() -> None:
        raise error

    with pytest.raises(RuntimeError, match=error.__name__):
        await pool(call)
    assert pool.abandoned == 0
    assert await pool(lambda: "alive") == "alive"


async def test_a_call_that_is_no_longer_waited_for_is_counted_until_it_ends(held: Held) -> None:
    pool = DaemonPool("calls", 1)
    waiting = asyncio.ensure_future(pool(held))
    await held.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.abandoned == 1
    held.release.set()
    await until(lambda: pool.abandoned == 0)
    assert await pool(lambda: "served") == "served"


async def test_a_call_that_has_not_begun_is_dropped(held: Held) -> None:
    pool = DaemonPool("calls", 1)
    first = asyncio.ensure_future(pool(held))
    await held.begun.wait()
    called = threading.Event()
    second = asyncio.ensure_future(pool(called.set))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert pool.abandoned == 0
    held.release.set()
    assert await first == "done"
    await pool(lambda: None)
    assert not called.is_set()


async def test_a_wait_cancelled_when_the_call_has_just_ended_leaves_nothing_to_count(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver_and_cancel(*args: Any) -> None:
        deliver(*args)
        waiting.cancel()

    deliver = getattr(threads, "_deliver")  # noqa: B009
    monkeypatch.setattr(threads, "_deliver", deliver_and_cancel)
    pool = DaemonPool("calls", 1)
    waiting = asyncio.ensure_future(pool(held))
    await held.begun.wait()
    held.release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.abandoned == 0


async def test_without_a_thread_to_be_had_a_call_fails_or_waits_for_one_there_is(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, empty = DaemonPool("calls", 3), DaemonPool("calls", 3)
    first = asyncio.ensure_future(pool(held))
    await held.begun.wait()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        await empty(lambda: "never")
    second = asyncio.ensure_future(pool(lambda: "later"))
    await asyncio.sleep(0)
    monkeypatch.undo()
    held.release.set()
    assert [await first, await second] == ["done", "later"]
    assert await empty(lambda: "now") == "now"


def test_a_call_that_ends_after_its_loop_harms_nobody() -> None:
    pool = DaemonPool("calls", 1)
    release = threading.Event()
    begun = threading.Event()

    def call() -> None:
        begun.set()
        release.wait(SAFE)

    async def leave() -> None:
        waiting = asyncio.ensure_future(pool(call))
        await asyncio.sleep(0)
        assert begun.wait(SAFE)
        assert not waiting.done()

    asyncio.run(leave())
    release.set()
    assert asyncio.run(pool_result(pool)) == "served"


async def pool_result(pool: DaemonPool) -> str:
    return await pool(lambda: "served")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["wait", "cancel now", "cancel begun"]), st.booleans()), max_size=12))
def test_whatever_is_cancelled_nothing_stays_counted_and_every_waited_call_ends(
    calls: list[tuple[str, bool]],
) -> None:
    asyncio.run(_accounting(calls))


async def _accounting(calls: list[tuple[str, bool]]) -> None:
    pool, ran = DaemonPool("calls", 2), []
    release = threading.Event()

    def call(number: int, waits: bool) -> int:
        if waits:
            release.wait(SAFE)
        ran.append(number)
        return number

    tasks = {}
    for number, (fate, waits) in enumerate(calls):
        task = tasks[number] = asyncio.ensure_future(pool(lambda n=number, w=waits: call(n, w)))  # type: ignore[misc]
        await asyncio.sleep(0)
        if fate != "wait":
            if fate == "cancel begun":
                await asyncio.sleep(0.001)
            task.cancel()
    await asyncio.sleep(0)
    assert 0 <= pool.abandoned <= 2
    release.set()
    ended = await asyncio.gather(*tasks.values(), return_exceptions=True)
    await until(lambda: pool.abandoned == 0)
    for number, (fate, _) in enumerate(calls):
        assert fate != "wait" or ended[number] == number
    assert len(set(ran)) == len(ran), "a call runs once"
