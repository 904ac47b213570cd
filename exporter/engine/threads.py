"""Bounded pools of daemon threads for calls that block.

Not ThreadPoolExecutor, whose threads are joined at exit: a call that hangs for ever would keep the process alive.
Not asyncio's default executor, which the resolver of the standard library shares: six hung calls there stop all names
from being resolved.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class _Call:
    __slots__ = ("call", "done", "future", "loop", "started")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop, done: Callable[[_Call], None]) -> None:
        self.call = call
        self.loop = loop
        self.done = done
        self.future: asyncio.Future[Any] = loop.create_future()
        self.started = False


class DaemonPool:
    """Up to `size` daemon threads, started when first needed. Calls are waited for on one event loop."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._ready = threading.Condition()
        self._queue: deque[_Call] = deque()
        self._threads = 0
        self._idle = 0
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """Calls still running although nobody waits for them any more."""
        return self._abandoned

    async def __call__(self, call: Callable[[], T]) -> T:
        """Runs the call on a thread. Cancelling the wait drops a call that has not begun and abandons one that has."""
        item = _Call(call, asyncio.get_running_loop(), self._done)
        with self._ready:
            self._queue.append(item)
            if self._idle >= len(self._queue):
                self._ready.notify()
            elif self._threads < self.size:
                self._hire(item)
        try:
            result: T = await item.future
            return result
        except asyncio.CancelledError:
            with self._ready:
                if not item.started:
                    self._queue.remove(item)
                elif item.future.cancelled():  # else it has ended, and only the news of it was cancelled
                    self._abandoned += 1
            raise

    def _hire(self, item: _Call) -> None:
        thread = threading.Thread(target=self._work, name=f"{self.name}-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left: those there are will come to it, if there are any
            if not self._threads:
                self._queue.remove(item)
                raise
        else:
            self._threads += 1

    def _done(self, item: _Call) -> None:
        # A future that was cancelled by its waiter has been counted as abandoned; the call has ended after all.
        if item.future.cancelled():
            self._abandoned -= 1

    def _work(self) -> None:
        while True:
            with self._ready:
                self._idle += 1
                while not self._queue:
                    self._ready.wait()
                self._idle -= 1
                item = self._queue.popleft()
                item.started = True
            try:
                result, error = item.call(), None
            except BaseException as caught:  # the thread serves others after this call, whatever it raised
                result, error = None, caught
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                item.loop.call_soon_threadsafe(_deliver, item, result, error)
            del item, result, error


def _deliver(item: _Call, result: Any, error: BaseException | None) -> None:
    item.done(item)
    if item.future.done():
        return
    if error is None:
        item.future.set_result(result)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        item.future.set_exception(error)
    else:
        # A future refuses the one, the others would end the waiting task or the loop as if they were meant for it.
        item.future.set_exception(RuntimeError(f"the call raised {type(error).__name__}"))
