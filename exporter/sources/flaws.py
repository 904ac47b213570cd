"""Tells the log of documents that give no target, once each: by name, never by content."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from exporter.instruments.log import say
from exporter.publishing.listing import Invalid

_log = logging.getLogger(__name__)

NAMED = 50  # of one change: beyond that nobody reads them, and the status tells of them all


class FlawLog:
    """Remembers of which documents it has told."""

    def __init__(self) -> None:
        self._told: frozenset[Invalid] = frozenset()

    def note(self, invalid: Iterable[Invalid]) -> None:
        """These give no target now."""
        now = dict.fromkeys(invalid)
        fresh = [one for one in now if one not in self._told]
        self._told = frozenset(now)
        for one in fresh[:NAMED]:
            fields = {"origin": one.origin, "document": one.document, "reason": one.flaw, "detail": one.detail}
            say(_log, logging.WARNING, "document gives no target", **fields)
        if len(fresh) > NAMED:
            say(_log, logging.WARNING, "more documents give no target", number=len(fresh) - NAMED)
