"""Says what goes wrong on the outside once a minute at most: whoever causes it must not be able to fill the log."""

from __future__ import annotations

import logging
from time import monotonic

from exporter.instruments.log import say

_log = logging.getLogger(__name__)

EVERY = 60.0


class Complaints:
    """One line for each kind of trouble, with how often there was trouble since the last. Kinds are constants."""

    def __init__(self) -> None:
        self._unsaid: dict[str, int] = {}
        self._again: dict[str, float] = {}

    def __call__(self, message: str, **fields: object) -> None:
        times = self._unsaid.get(message, 0) + 1
        now = monotonic()
        if now < self._again.get(message, 0.0):
            self._unsaid[message] = times
            return
        self._unsaid[message] = 0
        self._again[message] = now + EVERY
        say(_log, logging.WARNING, message, times=times, **fields)
