"""The event loop of the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from exporter.instruments.log import say

_log = logging.getLogger("exporter")

T = TypeVar("T")


def run_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on the fastest loop there is, and does not wait at the end for what does not care to end."""
    loop = _new_loop()
    loop.set_exception_handler(_unhandled)
    loop.set_debug(False)  # also under -X dev: it would log tasks with their arguments
    asyncio.set_event_loop(loop)
    task = loop.create_task(work())
    try:
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                # The loop ends on these, also when a collector's own task raised them; the work goes on.
                if not task.done():
                    say(_log, logging.ERROR, "unhandled error on the event loop", exception=type(error).__name__)
        return task.result()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    # The library's own message prints tasks, arguments and the exception's text.
    say(_log, logging.ERROR, "unhandled error on the event loop", exception=type(error).__name__)
