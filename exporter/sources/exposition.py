"""Metrics pages of others: Prometheus text 0.0.4 and OpenMetrics 1.0, strictly, and all or nothing.

A page is refused as a whole for one line that is not legal: half a page cannot be told from a whole one later, and a
missing series would read as one that is gone. Timestamps and exemplars are checked and left out.

What makes it fast: from one scrape to the next only numbers change. Every line is cut at its last space; if all that
stands before is what stood there last time, nothing needs to be looked at but the numbers, with a few calls into C.
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
    """A page as it was: what stood before the last space of each line, which lines were samples, and the other ends."""

    heads: tuple[str, ...]
    samples: tuple[bool, ...]
    others: tuple[bool, ...]
    words: tuple[str, ...]
    layout: Layout


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
        lines = text.removesuffix("\n").split("\n")
        heads, _, tails = zip(*[line.rpartition(" ") for line in lines], strict=True)
        known = self._known.get(openmetrics)
        page = _again(known, tails) if known is not None and heads == known.heads else None
        return page or self._anew(lines, heads, tails, openmetrics)

    def _anew(self, lines: Sequence[str], heads: tuple[str, ...], tails: Sequence[str], openmetrics: bool) -> Page:
        read = (OpenMetricsLines if openmetrics else TextLines)(self._limits, self._written)
        read.all(lines)
        layout = Layout(tuple([written.series for written in read.found.values()]))
        self._written = read.written
        self._known.pop(openmetrics, None)
        if read.bare:
            others = tuple([not sample for sample in read.samples])
            words = tuple(compress(tails, others))
            self._known[openmetrics] = _Known(heads, tuple(read.samples), others, words, layout)
        return Page(layout, read.values)


def _again(known: _Known, tails: Sequence[str]) -> Page | None:
    """The page, if it differs from the known one in its numbers only."""
    numbers = list(compress(tails, known.samples))
    if tuple(compress(tails, known.others)) != known.words or not _DIGITS.fullmatch("".join(numbers)):
        return None
    try:
        values = list(map(float, numbers))
    except ValueError:
        return None
    # What is not finite may have been too large, or be written as only Python reads it.
    if not isfinite(sum(values)) and not all(map(PLAIN_NUMBER.fullmatch, compress(numbers, map(_odd, values)))):
        return None
    return Page(known.layout, values)


def _odd(value: float) -> bool:
    return not isfinite(value)
