"""One run of a collector that blocks, on a thread that nobody can stop."""

from __future__ import annotations

import asyncio

from exporter.model.collector import Collector, Offload, Run


class Blocking:
    """Makes a blocking `collect` awaitable. A run that is cancelled lasts until the thread is done with it."""

    def __init__(self, collector: Collector, offload: Offload) -> None:
        self._collector = collector
        self._offload = offload

    async def __call__(self, run: Run) -> object:
        call = _Call(self._collector, run)
        waiting = asyncio.ensure_future(self._offload(call))
        try:
            found, error = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            call.dropped = True
            if call.begun:
                # The run lasts until the thread ends it: were it over now, a second one could join it.
                await asyncio.wait([waiting])
            else:
                waiting.cancel()
            raise
        try:
            if error is not None:
                raise error
            return found
        finally:
            del error  # it refers to this frame through its traceback: only the garbage collector would part them


class _Call:
    """What the thread calls. It hands back what was raised, of whatever kind: a future does not take everything."""

    __slots__ = ("_collector", "_run", "begun", "dropped")

    def __init__(self, collector: Collector, run: Run) -> None:
        self._collector = collector
        self._run = run
        self.begun = False
        self.dropped = False

    def __call__(self) -> tuple[object, BaseException | None]:
        # Each side writes its flag before it reads the other's: no run can begin that nobody knows of.
        self.begun = True
        if self.dropped:
            return None, None
        try:
            return self._collector.collect(self._run), None
        except BaseException as error:
            return None, error
