"""A watch on one namespace that never gives up and never hurries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from exporter.instruments.log import say
from exporter.model.collector import Clock
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.backoff import Steps
from exporter.sources.kubernetes.client import Forbidden, Gone, Limits, Question, Server
from exporter.sources.kubernetes.objects import Event, Place, Status, decode

_STEADY = 10.0  # seconds a watch has to live before it may be begun again at once
_TURN = 100  # lines, taken before others have their turn
_PASSING = frozenset({429, 500, 503, 504})  # errors in a watch that say nothing about its version
_UNREADABLE = frozenset({Reason.DECODE, Reason.TOO_LARGE})  # what was missed only a list can tell

logger = logging.getLogger(__name__)


class Stream(Protocol):
    def iter_any(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Watching:
    """How all watches of a cluster are done."""

    selector: str
    limits: Limits
    sleep: Callable[[float], Awaitable[object]]
    chance: Callable[[], float]


class Watcher:
    """Keeps a place up to date between lists."""

    def __init__(self, place: Place, server: Server, clock: Clock, steps: Steps, how: Watching) -> None:
        self._place = place
        self._server = server
        self._clock = clock
        self._steps = steps
        self._how = how
        self._opened: float | None = None
        self._told = False

    async def run(self, changed: Callable[[], None], stale: Callable[[], None]) -> None:
        """Watches until cancelled, whenever there is a version to go on from."""
        while True:
            await self._place.current.wait()
            self._opened, trouble = None, None
            try:
                if await self._interrupted(changed):
                    continue
            except Failure as failure:
                trouble = failure
            if trouble is not None and (isinstance(trouble, Gone) or trouble.reason in _UNREADABLE):
                self._place.lose()
            await self._rest(trouble)
            if not self._place.version:
                stale()

    async def _rest(self, trouble: Failure | None) -> None:
        if self._opened is not None and self._clock.monotonic() - self._opened >= _STEADY:
            self._steps.reset()
            self._told = False
            return
        if trouble is not None and not isinstance(trouble, Gone) and not self._told:
            self._told = True
            namespace, reason, detail = self._place.namespace, trouble.reason, trouble.detail
            text = "watch failed, changes are seen at the next refresh"
            say(logger, logging.WARNING, text, namespace=namespace, reason=reason, detail=detail)
        longest = self._steps.longest if isinstance(trouble, Forbidden) else 0.0
        await self._how.sleep(self._steps.next(at_least=max(longest, self._server.pause)))

    async def _interrupted(self, changed: Callable[[], None]) -> bool:
        """Watches until the server ends it, which is False, or a list does."""
        try:
            async with asyncio.timeout(None) as limit:
                with self._place.watched(limit):
                    await self._watch(changed)
        except TimeoutError:
            return True
        return False

    async def _watch(self, changed: Callable[[], None]) -> None:
        seconds = int(self._how.limits.watch * (1 - self._how.chance() / 4))
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._place.version,
            "timeoutSeconds": str(seconds),
            **({"labelSelector": self._how.selector} if self._how.selector else {}),
        }
        # A server that is gone without a word is noticed when it does not end the watch itself.
        total = seconds + self._how.limits.grace
        question = Question(verb="watch", namespace=self._place.namespace, params=params, total=total, silence=total)
        await self._server.ask(question, lambda stream: self._follow(stream, changed))

    async def _follow(self, stream: Stream, changed: Callable[[], None]) -> None:
        self._opened = self._clock.monotonic()
        async with aclosing(batches(stream, self._how.limits.body)) as following:
            async for batch in following:
                different = False
                try:
                    for line in batch:
                        different |= self._take(line)
                finally:  # what came before a line that ends the watch counts
                    if different:
                        changed()

    def _take(self, line: bytes) -> bool:
        event = decode(line, Event)
        if event.type == "ERROR":
            code = decode(event.object, Status).code
            kind = Failure if code in _PASSING else Gone
            raise kind(Reason.HTTP_STATUS, f"the watch ended with the error {code}")
        return self._place.note(event)


async def batches(stream: Stream, longest: int) -> AsyncGenerator[list[bytes], None]:
    """The lines as they come, not too many at once."""
    rest = bytearray()
    async for piece in stream.iter_any():
        *lines, tail = piece.split(b"\n")
        if lines:
            lines[0] = bytes(rest + lines[0])
            rest.clear()
        rest += tail
        if len(rest) > longest:
            raise Failure(Reason.TOO_LARGE, f"a line of the watch is larger than {longest} bytes")
        lines = [line for line in lines if line]
        for start in range(0, len(lines), _TURN):
            yield lines[start : start + _TURN]
            await asyncio.sleep(0)
