"""Metrics pages of others: Prometheus text 0.0.4 and OpenMetrics 1.0, strictly, and all or nothing.

A page is refused as a whole for one line that is not legal: half a page cannot be told from a whole one later, and a
missing series would read as one that is gone. Timestamps and exemplars are checked and left out.

What makes it fast: from one scrape to the next only numbers change. If every line begins as it did last time, up to its
number, nothing else needs to be looked at, and that takes a few calls into C for the whole page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from math import isfinite

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.dialects.page import Layout, Page
from exporter.sources.lines import PLAIN_NUMBER, OpenMetricsLines, PageLimits, TextLines, Written

# float() takes more than a page may hold: digits of other scripts, spaces around, underscores within.
_DIGITS = re.compile(r"[0-9A-Za-z.+-]*+")


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A page as it was: what each line begins with, all of it where there is no number, and where there is one."""

    beginnings: Sequence[str]
    samples: Sequence[bool]
    layout: Layout

    def again(self, lines: Sequence[str]) -> Page | None:
        """The page, if it differs from this one in its numbers only."""
        if len(lines) != len(self.beginnings) or not all(map(str.startswith, lines, self.beginnings)):
            return None
        ends = list(map(str.removeprefix, lines, self.beginnings))
        numbers = list(compress(ends, self.samples))
        # What follows a line that had no number is something new.
        if not _DIGITS.fullmatch("".join(ends)) or len("".join(numbers)) != len("".join(ends)):
            return None
        try:
            values = list(map(float, numbers))
        except ValueError:
            return None
        # What is not finite may have been too large, or be written as only Python reads it.
        if not isfinite(sum(values)) and not all(map(PLAIN_NUMBER.fullmatch, compress(numbers, map(_odd, values)))):
            return None
        return Page(self.layout, values)


class PageParser:
    """Reads the pages of one remote. Two threads may call it at once: at worst it remembers the wrong page."""

    def __init__(self, limits: PageLimits | None = None) -> None:
        self._limits = limits or PageLimits()
        self._known: dict[bool, _Known] = {}
        self._written: dict[str, Written] = {}

    def parse(self, text: str, openmetrics: bool = False) -> Page:
        """The whole page; or Failure with the number of the line that is wrong, and nothing of its content."""
        if not text and not openmetrics:
            return Page(Layout(()), ())
        if not text.endswith("\n") and not (openmetrics and text.endswith("# EOF")):
            raise Failure(Reason.PARSE, "the page ends in the middle of a line")
        self.bound(text)
        lines = text.removesuffix("\n").split("\n")
        known = self._known.get(openmetrics)
        page = known.again(lines) if known is not None else None
        return page if page is not None else self._anew(lines, openmetrics)

    def bound(self, page: str | bytes) -> None:
        """Refuses a page with too many lines, before they become as many objects."""
        if isinstance(page, str):
            lines, comments = page.count("\n"), page.count("\n#")
        else:
            lines, comments = page.count(b"\n"), page.count(b"\n#")
        if lines - comments > self._limits.samples + 1:
            raise Failure(Reason.LIMIT, f"the page has more than {self._limits.samples} samples")
        if comments > 2 * self._limits.samples:
            raise Failure(Reason.LIMIT, f"the page has more than {2 * self._limits.samples} comments")

    def _anew(self, lines: Sequence[str], openmetrics: bool) -> Page:
        read = (OpenMetricsLines if openmetrics else TextLines)(self._limits, self._written)
        read.all(lines)
        layout = Layout(tuple([written.series for written in read.found.values()]))
        self._written = read.written
        self._known.pop(openmetrics, None)
        if read.bare:
            self._known[openmetrics] = _Known(read.beginnings, read.samples, layout)
        return Page(layout, read.values)


def _odd(value: float) -> bool:
    return not isfinite(value)
