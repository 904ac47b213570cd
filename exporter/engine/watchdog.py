"""Watches the event loop: how late it wakes, and where it is stuck when it does not."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from exporter.instruments.log import say
from exporter.instruments.meter import HistogramCell
from exporter.model.collector import Clock

_log = logging.getLogger("exporter.watchdog")

# Each beat wakes an idle process, which costs more than what it then does; but what happens between two is not seen.
BEAT = 0.5
STUCK_AFTER = 1.0


class Watchdog:
    """A beat on the loop measures its lag; a thread says once where the loop stands when the beat stays away.

    `chore` is done with every beat: whatever else has to be looked after now and then needs no waking of its own.
    """

    def __init__(self, clock: Clock, lag: HistogramCell, chore: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._lag = lag
        self._chore = chore
        self._last = clock.monotonic()
        self._ended = threading.Event()

    async def run(self) -> None:
        """Beats until cancelled."""
        thread = threading.Thread(target=self._watch, args=(threading.get_ident(),), name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                asked = self._clock.monotonic()
                self._last = asked
                await asyncio.sleep(BEAT)
                self._lag.observe(max(0.0, self._clock.monotonic() - asked - BEAT))
                self._chore()
        finally:
            self._ended.set()

    def _watch(self, loop_thread: int) -> None:
        said = None
        while not self._ended.wait(STUCK_AFTER):
            last = self._last
            if self._clock.monotonic() - last > BEAT + STUCK_AFTER and last != said:
                said = last
                frame = sys._current_frames().get(loop_thread)
                if frame is not None:
                    say(_log, logging.WARNING, "event loop is stuck", stack=_places(traceback.extract_stack(frame)))


def _places(stack: traceback.StackSummary) -> str:
    """Where each call stands, innermost first; no source lines and no values."""
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(stack[-8:]))
