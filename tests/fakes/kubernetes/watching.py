"""Watches: from the history into the future, as each of them sees it."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.fakes.kubernetes import shapes
from tests.fakes.kubernetes.faults import hang_up
from tests.fakes.kubernetes.objects import KINDS, Stored
from tests.fakes.kubernetes.selection import Selection
from tests.fakes.kubernetes.store import Change, Store


class Turn(enum.Enum):
    """What may become of a live watch."""

    ENDS = "ends"
    DROPS = "drops"
    FALLS_SILENT = "falls silent"


@dataclass(frozen=True)
class Terms:
    """What a watch was asked for."""

    selection: Selection
    bookmarks: bool
    seconds: float
    shape: Callable[[Stored], bytes]


class Watch:
    """What one watcher is still to be told."""

    def __init__(self, store: Store, terms: Terms) -> None:
        self.terms = terms
        self._store = store
        self._waiting: asyncio.Queue[bytes | Turn] = asyncio.Queue()

    def begin(self, version: int | None) -> None:
        """Takes up what changed since a version, or all there is; raises Expired when that is not known any more."""
        if version is None:
            for stored in self._store.at(self._store.version):
                if self.terms.selection.takes(stored):
                    self.say(shapes.event("ADDED", self.terms.shape(stored)))
        else:
            for change in self._store.since(version):
                self.notice(change)

    def notice(self, change: Change) -> None:
        """Tells of a change as it looks through the selection: what matches no longer is gone."""
        takes = self.terms.selection.takes
        before, after = change.before, change.after
        if after is not None and takes(after):
            self.say(shapes.event("MODIFIED" if takes(before) else "ADDED", self.terms.shape(after)))
        elif before is not None and takes(before):
            self.say(shapes.event("DELETED", self.terms.shape(before.at(change.version))))

    def bookmark(self) -> None:
        if self.terms.bookmarks:
            self.say(shapes.bookmark(KINDS[self.terms.selection.resource], self._store.version))

    def say(self, what: bytes | Turn) -> None:
        self._waiting.put_nowait(what)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Says it all until time is up."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        end = asyncio.get_running_loop().call_later(self.terms.seconds, self._end)
        try:
            while (what := await self._waiting.get()) is not Turn.ENDS:
                if isinstance(what, bytes):
                    await response.write(what)
                elif what is Turn.DROPS:
                    await hang_up(request)
                else:
                    await asyncio.Event().wait()
        finally:
            end.cancel()
        return response

    def _end(self) -> None:
        # The real server takes leave with a bookmark, so that the next watch begins where this one ended.
        self.bookmark()
        self.say(Turn.ENDS)
