"""Runs on threads: over when the thread is done, never begun behind anybody's back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from exporter.engine.blocking import Blocking
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Run
from tests.engine.build import Doing, things

SAFE = 30.0
RUN = Run(1, 1e9, 0.0)


async def test_the_result_of_the_thread_is_the_result_of_the_run() -> None:
    found = things("a")
    collector = Doing("a", lambda run: (found, run, threading.current_thread().daemon))
    assert await Blocking(collector, DaemonPool("calls", 1))(RUN) == (found, RUN, True)


async def test_what_the_thread_raised_is_raised_as_it_was() -> None:
    def act(run: Run) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        await Blocking(Doing("a", act), DaemonPool("calls", 1))(RUN)
    assert caught.traceback[-1].name == "act"


async def test_a_cancelled_run_lasts_until_its_thread_is_done() -> None:
    loop, begun, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def act(run: Run) -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait(SAFE)

    task = asyncio.ensure_future(Blocking(Doing("a", act), DaemonPool("calls", 1))(RUN))
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.01)
    assert not done
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SAFE)


async def test_a_run_cancelled_before_its_thread_began_never_begins() -> None:
    calls: list[Callable[[], Any]] = []

    async def offload(call: Callable[[], Any]) -> Any:
        calls.append(call)
        await asyncio.Event().wait()

    collector = Doing("a", lambda run: things("a"))
    task = asyncio.ensure_future(Blocking(collector, offload)(RUN))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls[0]() == (None, None), "the thread may have been about to begin"
    assert collector.runs == []
