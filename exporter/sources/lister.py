"""Asks one origin for its targets: again when that fails, and never twice at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.instruments.log import say
from exporter.model.collector import Clock
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.findings import Findings
from exporter.publishing.health import Moment
from exporter.publishing.listing import Listing
from exporter.publishing.refresh import RefreshRules
from exporter.sources.origins import Incomplete, Origin, Watched

_log = logging.getLogger(__name__)

# What asking again a few seconds later will not mend.
_LASTING = frozenset({Reason.AUTH, Reason.CONFIG, Reason.TOO_LARGE, Reason.PARSE, Reason.LIMIT, Reason.EXEC})


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all listers work with. `prepare` is awaited before files are read; `heard` is told of every listing, and
    whether the targets are others because of it.
    """

    findings: Findings
    clock: Clock
    luck: Callable[[], float]
    prepare: Callable[[], Awaitable[None]]
    heard: Callable[[bool], None]
    stale: Callable[[], None]

    def now(self) -> Moment:
        return Moment(self.clock.monotonic(), self.clock.wall())


class Lister:
    """One origin under the rules of refreshes; what it told goes to the findings as soon as it is there."""

    def __init__(self, origin: Origin, desk: Desk, rules: RefreshRules) -> None:
        self.origin = origin
        self.rules = rules
        self.task: asyncio.Task[None] | None = None  # while it is asking
        self.failure: Failure | None = None
        self._desk = desk
        self._again = False
        self._told: Reason | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing has to be ended."""
        return self.task is None and self._watch is None and not hasattr(self.origin, "close")

    def start(self) -> None:
        """Asks; what is asked for while it is asking makes it ask once more."""
        self._again = self.task is not None
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while True:
                self._again = False
                self.failure = await self._attempts()
                if not self._again:
                    return
        finally:
            self.task = None

    async def _attempts(self) -> Failure | None:
        failure = await self._attempt()
        for failures in range(1, self.rules.attempts):
            if failure is None or failure.reason in _LASTING or self._again:
                break
            await asyncio.sleep(self.rules.delay(failures, self._desk.luck()))
            failure = await self._attempt()
        return failure

    async def _attempt(self) -> Failure | None:
        begin = self._desk.clock.monotonic()
        try:
            async with asyncio.timeout(self.rules.timeout):
                if self.origin.watched:
                    await self._desk.prepare()
                listing = await self.origin.list()
            self._tell(None)
            seconds = self._desk.clock.monotonic() - begin
            self._take(self._desk.findings.took(self.origin.name, listing, self._desk.now(), seconds))
            return None
        except Incomplete as caught:
            failure = Failure(caught.reason, caught.detail)
            self._take(self._desk.findings.incomplete(self.origin.name, caught.listing))
        except Failure as caught:
            failure = Failure(caught.reason, caught.detail)
        except TimeoutError:
            failure = Failure(Reason.TIMEOUT, "no whole listing in time")
        except Exception as error:
            failure = Failure(Reason.INTERNAL, type(error).__name__)
        self._tell(failure)
        self._desk.findings.failed(self.origin.name, failure)
        return failure

    def _take(self, changed: bool) -> None:
        self._desk.heard(changed)
        self._follow()

    def _tell(self, failure: Failure | None) -> None:
        """One line when it begins to fail, one for each new reason, one when it is over."""
        reason = failure.reason if failure else None
        if reason == self._told:
            return
        self._told = reason
        if failure is None:
            say(_log, logging.INFO, "targets are listed again", origin=self.origin.name)
        else:
            message, detail = "targets not listed, those known stay", failure.detail
            say(_log, logging.WARNING, message, origin=self.origin.name, reason=reason, detail=detail)

    def _follow(self) -> None:
        """Once there is a first listing its changes are watched; a watch that failed is begun anew by the next."""
        if isinstance(self.origin, Watched) and (self._watch is None or self._watch.done()):
            self._watch = asyncio.get_running_loop().create_task(self._watch_origin(self.origin))

    async def _watch_origin(self, origin: Watched) -> None:
        try:
            await origin.watch(self._changed, self._desk.stale)
        except Exception as error:
            say(_log, logging.ERROR, "watching targets failed", origin=self.origin.name, exception=type(error).__name__)

    def _changed(self, listing: Listing) -> None:
        self._desk.heard(self._desk.findings.watched(self.origin.name, listing, self._desk.now()))

    def cancel(self) -> list[asyncio.Task[None]]:
        """Ends what is under way; from now on nothing is told."""
        tasks = [task for task in (self.task, self._watch) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    async def close(self) -> None:
        """Ends what is under way, and lets go of the origin."""
        await asyncio.gather(*self.cancel(), return_exceptions=True)
        close = getattr(self.origin, "close", None)
        if close is not None:
            await close()
