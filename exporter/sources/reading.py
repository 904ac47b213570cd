"""Files read on threads, one call at a time: where a file system hangs one thread waits, and no more with every try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from exporter.model.collector import Offload

T = TypeVar("T")


class Reader:
    """Runs calls one after the other. Whoever stops waiting leaves the call to go on, and the next one waits for it."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._under_way: asyncio.Future[Any] | None = None

    async def __call__(self, call: Callable[[], T]) -> T:
        while self._under_way is not None and not self._under_way.done():
            await asyncio.wait({self._under_way})
        mine = self._under_way = asyncio.ensure_future(self._offload(call))
        mine.add_done_callback(_seen)
        return await asyncio.shield(mine)

    def close(self) -> None:
        """Waits for nothing any more."""
        if self._under_way is not None:
            self._under_way.cancel()


def _seen(ended: asyncio.Future[Any]) -> None:
    if not ended.cancelled():
        ended.exception()  # nobody may be left to be told
