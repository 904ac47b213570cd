"""Samples in JSON: the names, labels and numbers that stand on the page for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf, isfinite

import msgspec

from exporter.exposition.render import bound_text
from exporter.model.metric import Key, Kind, Samples
from exporter.model.snapshot import Snapshot

# What tells of publishing; what a plugin brings is no part of this API.
PUBLISHING = ("health", "discovery", "refresh", "queue", "publishers", "score")


class SampleShown(msgspec.Struct, frozen=True):
    """One number. What cannot be written in JSON, infinity and what is not a number, is null."""

    name: str
    labels: dict[str, str]
    value: float | None


def publishing(snapshot: Snapshot) -> list[Samples]:
    """The columns of the publishing families."""
    return [column for name in PUBLISHING for column in snapshot.samples.get(name, ())]


def shown(column: Samples, rows: Iterable[int] | None = None) -> Iterator[SampleShown]:
    """All samples of a column, or those of some of its metrics."""
    family, width = column.family, column.family.width
    for row in range(len(column.keys)) if rows is None else rows:
        labels = dict(zip(family.labels, column.keys[row], strict=True))
        values = column.values[row * width : (row + 1) * width]
        for suffix, more, value in _lines(column, values):
            yield SampleShown(family.name + suffix, {**labels, **more}, value if isfinite(value) else None)


def _lines(column: Samples, values: Sequence[float]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    family = column.family
    if family.kind is Kind.HISTOGRAM:
        counts = list(accumulate(values[:-1]))
        for bound, count in zip((*family.bounds, inf), counts, strict=True):
            yield "_bucket", {"le": bound_text(bound)}, count
        yield "_sum", {}, values[-1]
        yield "_count", {}, counts[-1]
    elif family.kind is Kind.SUMMARY:
        for quantile, value in zip(family.bounds, values, strict=False):
            yield "", {"quantile": bound_text(quantile)}, value
        yield "_sum", {}, values[-2]
        yield "_count", {}, values[-1]
    else:
        yield "", {}, values[0]


class TargetIndex:
    """Finds the samples of one target among all. Which series there are rarely changes, so it is made for them once."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], tuple[tuple[Key, ...], dict[str, list[int]]]] = {}

    def samples(self, snapshot: Snapshot, target: str) -> list[SampleShown]:
        """Everything that carries exactly this name in its label `target`."""
        seen: dict[str, int] = {}
        found: list[SampleShown] = []
        for column in publishing(snapshot):
            name = column.family.name
            if "target" in column.family.labels:
                number = seen[name] = seen.get(name, -1) + 1  # a family may come in several columns
                found += shown(column, self._rows((name, number), column).get(target, ()))
        return found

    def _rows(self, place: tuple[str, int], column: Samples) -> Mapping[str, Sequence[int]]:
        known = self._places.get(place)
        if known is None or known[0] != column.keys:
            at = column.family.labels.index("target")
            rows: dict[str, list[int]] = {}
            for row, key in enumerate(column.keys):
                rows.setdefault(key[at], []).append(row)
            known = self._places[place] = (column.keys, rows)
        return known[1]
