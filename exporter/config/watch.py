"""Tells when a file of the configuration has other content than before.

By content, not by events or times of the file system: those miss the swap of a symlink above the file, come twice for
one save, and do not exist on some network file systems.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from exporter.config.files import Unreadable, read_bytes
from exporter.config.globs import is_pattern, matches
from exporter.model.collector import Offload

LARGEST_WATCHED = 8 << 20
EVERY = 2.0  # seconds, unless told otherwise

_log = logging.getLogger(__name__)


def fingerprint(path: Path) -> str:
    """What tells one content of a file from another; for a file that cannot be read, why not.

    That of a pattern tells which files there are, and what is in them.
    """
    if is_pattern(path):
        return repr([(file, fingerprint(file)) for file in matches(path) if not is_pattern(file)])
    try:
        return hashlib.sha256(read_bytes(path, LARGEST_WATCHED)).hexdigest()
    except Unreadable as error:
        return str(error)


def _fingerprints(paths: Iterable[Path]) -> dict[Path, str]:
    return {path: fingerprint(path) for path in paths}


class Watch:
    """Looks at the files every `interval` seconds and calls `on_change` once for each look that finds a change.

    Files are read through `offload`, without a deadline: on a file system that hangs, one thread waits, not one more
    with every look.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        offload: Offload,
        on_change: Callable[[], Awaitable[object]],
        interval: float | None = None,
    ) -> None:
        self._offload = offload
        self._on_change = on_change
        self._interval = EVERY if interval is None else interval
        self._seen: dict[Path, str] = {}
        self._followed = asyncio.Event()
        self.follow(paths)

    def follow(self, paths: Iterable[Path]) -> None:
        """Watches these files from now on, and no others; what was seen of a file that stays is kept."""
        self._paths = tuple(dict.fromkeys(paths))
        self._followed.set()

    def note(self) -> None:
        """As `prime`, before there is a loop to wait on."""
        self._remember(_fingerprints(self._paths))

    async def prime(self) -> None:
        """Takes note of files not seen so far. Awaited before a file is loaded, no change after that is missed."""
        paths = self._paths
        new = tuple(path for path in paths if path not in self._seen)
        fresh = await self._offload(lambda: _fingerprints(new))
        self._remember(fresh)

    async def run(self) -> None:
        """Watches until cancelled."""
        loop = asyncio.get_running_loop()
        next_look = loop.time() + self._interval
        while True:
            try:
                async with asyncio.timeout_at(next_look):
                    await self._followed.wait()
            except TimeoutError:
                await self._guarded(self._look)
                next_look = loop.time() + self._interval
            # New files are noted at once, but a change is acted upon only at a look: a file that is being written
            # without pause must not make one reload follow the other.
            self._followed.clear()
            await self._guarded(self.prime)

    async def _look(self) -> None:
        paths = self._paths
        now = await self._offload(lambda: _fingerprints(paths))
        changed = any(self._seen.get(path, mark) != mark for path, mark in now.items())
        # Noted before the call: what changes while it runs is found by the next look.
        self._remember(now)
        if changed:
            await self._on_change()

    def _remember(self, marks: Mapping[Path, str]) -> None:
        known = {**self._seen, **marks}
        self._seen = {path: known[path] for path in self._paths if path in known}

    async def _guarded(self, call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except Exception as error:
            _log.error("watching the configuration failed: %s", type(error).__name__)
