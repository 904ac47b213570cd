"""The loop that keeps the directory of targets true: a refresh in time, by hand, and when something has changed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

from exporter.config.watch import Watch
from exporter.model.collector import Clock, Offload
from exporter.publishing.findings import Findings
from exporter.publishing.refresh import Asked, RefreshRules
from exporter.sources.flaws import FlawLog
from exporter.sources.lister import Desk, Lister
from exporter.sources.origins import Origin, Static
from exporter.sources.reading import Reader

_NOTING = 1.0  # seconds
_HAIR = 0.001  # seconds: a timer may fire this early


class Discovery:
    """Asks the origins of targets. A refresh is one whole listing of each, and nothing else lists.

    `tell` is given the names of collectors that have something new to show.
    """

    def __init__(
        self,
        findings: Findings,
        clock: Clock,
        offload: Offload,
        tell: Callable[[Iterable[str]], None],
        luck: Callable[[], float] = random.random,
        look: float | None = None,
    ) -> None:
        self._findings = findings
        self._refreshes = findings.refreshes
        self._tell = tell
        self._reader = Reader(offload)
        self._watch = Watch((), self._reader, self._files_changed, look)
        self._desk = Desk(
            findings=findings,
            clock=clock,
            luck=luck,
            prepare=self._prepare,
            heard=self._heard,
            stale=self._stale,
        )
        self._listers: list[Lister] = []
        self._left: set[asyncio.Task[None]] = set()
        self._flight: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._again_at = inf  # when a watch that cannot go on is to have its new list
        self._stales = 0
        self._last_stale = -inf
        self._flaws = FlawLog()

    # -- what is asked

    def configure(self, origins: Sequence[Origin], rules: RefreshRules) -> None:
        """Asks these from now on. Those that were asked before go on undisturbed, with all they know."""
        self._refreshes.rules = rules
        running = {id(lister.origin): lister for lister in self._listers}
        kept = [running.pop(id(origin), None) for origin in origins]
        pairs = zip(origins, kept, strict=True)
        self._listers = [lister or Lister(origin, self._desk, rules) for origin, lister in pairs]
        changed = self._findings.follow([(origin.name, origin.kind) for origin in origins])
        for lister in self._listers:
            lister.rules = rules
            if isinstance(lister.origin, Static):  # nothing to wait for
                changed |= self._findings.watched("static", lister.origin.listing, self._desk.now())
        self._heard(changed)
        for lister in running.values():
            self._let_go(lister)
        self._ask_soon([lister for lister, before in zip(self._listers, kept, strict=True) if before is None])

    def _let_go(self, lister: Lister) -> None:
        if lister.idle:
            return
        lister.cancel()
        task = asyncio.get_running_loop().create_task(lister.close())
        self._left.add(task)
        task.add_done_callback(self._left.discard)

    def _ask_soon(self, listers: Iterable[Lister]) -> None:
        """A refresh begins, or takes these in if it is under way already."""
        if self._flight is not None:
            for lister in listers:
                lister.start()
        self._again_at = -inf if self._flight is None else self._again_at
        self._wake.set()

    # -- refreshes

    async def run(self) -> None:
        """Refreshes until cancelled: at once, when the time has come, and when asked."""
        self._refreshes.open()
        looking = asyncio.get_running_loop().create_task(self._watch.run())
        try:
            while True:
                await self.refresh()
                await self._pause()
        finally:
            looking.cancel()
            await self.close()

    async def refresh(self) -> None:
        """One refresh; joins the one under way."""
        await asyncio.shield(self._flight or self._begin())

    def ask(self) -> Asked:
        """Begins a refresh by hand, if there may be one."""
        asked = self._refreshes.ask(self._desk.now())
        if asked.state == "accepted":
            self._fly()
        return asked

    def _begin(self) -> asyncio.Task[None]:
        self._refreshes.begin(self._desk.now())
        return self._fly()

    def _fly(self) -> asyncio.Task[None]:
        self._again_at = inf
        for lister in self._listers:
            lister.start()
        self._flight = asyncio.get_running_loop().create_task(self._arrive())
        self._tell(("refresh",))
        return self._flight

    async def _arrive(self) -> None:
        """Waits for all origins, also for those that join on the way."""
        while asking := [lister.task for lister in self._listers if lister.task is not None]:
            await asyncio.wait(asking)
        failures = [lister.failure for lister in self._listers if lister.failure is not None]
        seconds = self._refreshes.end(self._desk.now(), next(iter(failures), None), self._desk.luck())
        self._findings.tally.refreshed(seconds, failures)
        self._flight = None
        self._wake.set()
        self._tell(("discovery", "refresh"))

    async def _pause(self) -> None:
        """Until the next refresh is due; one that was begun by hand meanwhile moves that."""
        while True:
            self._wake.clear()
            due = self._refreshes.next.monotonic if self._refreshes.next else inf
            left = min(due, self._again_at) - self._desk.now().monotonic
            if self._flight is None and left <= _HAIR:
                return
            try:
                async with asyncio.timeout(None if self._flight is not None or left == inf else left):
                    await self._wake.wait()
            except TimeoutError:
                pass

    # -- what changes

    def _heard(self, changed: bool) -> None:
        self._follow_files()
        if changed:
            self._flaws.note(self._findings.merged.invalid)
            self._tell(("health", "discovery", "refresh"))

    def _stale(self) -> None:
        """A watch needs a new list: at once the first time, ever later if that does not help."""
        now, rules = self._desk.now().monotonic, self._refreshes.rules
        if now - self._last_stale > 2 * rules.backoff_max:
            self._stales = 0
        wait = rules.delay(self._stales, self._desk.luck()) if self._stales else 0.0
        self._stales += 1
        self._last_stale = now
        self._again_at = min(self._again_at, now + wait)
        self._wake.set()

    async def _files_changed(self) -> None:
        """Files are read anew at once, also while a refresh waits for what is far away."""
        self._ask_soon([lister for lister in self._listers if lister.origin.watched])

    def _follow_files(self) -> None:
        watched: dict[Path, None] = {}
        for lister in self._listers:
            watched.update(dict.fromkeys(lister.origin.watched))
        self._watch.follow(watched)

    async def _prepare(self) -> None:
        """Notes how the files are before they are read: what changes after that is seen.

        Where that takes long some file system hangs, and files elsewhere are read all the same.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTING):
                await self._watch.prime()

    async def close(self) -> None:
        """Ends what is under way; from then on there is no refresh."""
        self._refreshes.close()
        self._reader.close()
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()
        await asyncio.gather(*(lister.close() for lister in self._listers), *self._left, return_exceptions=True)
