"""Histograms and summaries out of the numbers of a page, with the bounds they have there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import inf, isnan
from operator import sub

from exporter.model.metric import Family, Key, Kind
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Rule
from exporter.publishing.dialects.page import Layout

_RANGES = "vmrange"
_NEAR = 1.0 + 1e-9  # the ends of ranges are written with four digits


@dataclass(slots=True)
class _Source:
    """Where one upstream histogram or summary stands: what lies at or below each bound, the sum and the number."""

    below: dict[float, list[int]] = field(default_factory=dict)
    ranges: list[tuple[float, int]] = field(default_factory=list)
    total: int | None = None
    sum: int | None = None

    def settle(self, bounds: Sequence[float]) -> None:
        """Makes buckets of ranges, which are not cumulative and only there if something fell into them."""
        if bounds:
            self.below = {bound: [at for end, at in self.ranges if end <= bound * _NEAR] for bound in bounds}
        elif inf in self.below:
            self.total = self.below.pop(inf)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Where the numbers of one metric of ours stand: every one a sum, as several of theirs may be one of ours."""

    kind: Kind
    below: tuple[tuple[int, ...], ...]
    total: tuple[int, ...]
    sum: tuple[int, ...]
    factor: float

    def numbers(self, values: Sequence[float]) -> list[float]:
        """The numbers as a family's columns have them: counts per bucket and the sum, or quantiles, sum and number."""
        marks = [_sum(values, places) for places in self.below]
        total, amount = _sum(values, self.total), _sum(values, self.sum) * self.factor
        if self.kind is Kind.SUMMARY:
            return [*(mark * self.factor for mark in marks), amount, total]
        marks.append(total)
        return [*map(sub, marks, [0.0, *marks]), amount]


def _sum(values: Sequence[float], places: tuple[int, ...]) -> float:
    return values[places[0]] if len(places) == 1 else float(sum([values[at] for at in places]))


class Compounds:
    """The rows of one family with the same bounds."""

    def __init__(self, family: str, bounds: tuple[float, ...], found: Mapping[Key, Row], origin: Key) -> None:
        self.family = family
        self.bounds = bounds
        self._keys = tuple([(*key, *origin) for key in found])
        self._rows = tuple(found.values())

    def rows(self, values: Sequence[float]) -> tuple[tuple[Key, ...], tuple[float, ...]]:
        """Label values and the numbers of all metrics."""
        return self._keys, tuple(chain.from_iterable([row.numbers(values) for row in self._rows]))


def compounds(
    layout: Layout, rules: Sequence[Rule], family: Family, labelling: Labelling, origin: Key
) -> Iterator[Compounds]:
    """What there is of a family, one entry for each set of bounds."""
    sources: dict[Key, list[tuple[Rule, _Source]]] = {}
    for rule in rules:
        for key, source in _sources(layout, rule, family, labelling):
            sources.setdefault(key, []).append((rule, source))
    found: dict[tuple[float, ...], dict[Key, Row]] = {}
    for key, together in sources.items():
        # Of histograms that are added up only the bounds that all of them have can be said. Quantiles cannot be added.
        if family.kind is Kind.SUMMARY and len(together) > 1:
            continue
        shared = sorted(set.intersection(*[set(source.below) for _, source in together]))
        factor = together[0][0].factor
        row = Row(
            family.kind,
            tuple([tuple([at for _, source in together for at in source.below[bound]]) for bound in shared]),
            tuple([source.total for _, source in together if source.total is not None]),
            tuple([source.sum for _, source in together if source.sum is not None]),
            factor,
        )
        scale = factor if family.kind is Kind.HISTOGRAM else 1.0
        found.setdefault(tuple([bound * scale for bound in shared]), {})[key] = row
    for bounds, rows in found.items():
        yield Compounds(family.name, bounds, rows, origin)


def _sources(layout: Layout, rule: Rule, family: Family, labelling: Labelling) -> Iterator[tuple[Key, _Source]]:
    """The whole upstream metrics a rule takes, with the label values they have with us."""
    found: dict[tuple[tuple[str, str], ...], _Source] = {}
    mark = "quantile" if family.kind is Kind.SUMMARY else "le"
    pieces = {"_sum": rule.series + "_sum", "_count": rule.series + "_count"}
    name = rule.series if family.kind is Kind.SUMMARY else rule.series + "_bucket"
    for at in layout.places.get(name, ()):
        source = _source(found, layout.series[at].labels, (mark, _RANGES))
        _note(source, layout.series[at].labels, mark, at)
    for piece, named in pieces.items():
        for at in layout.places.get(named, ()):
            source = _source(found, layout.series[at].labels, ())
            if piece == "_sum":
                source.sum = at
            else:
                source.total = at
    for labels, source in found.items():
        source.settle(rule.bounds)
        key = labelling.key(rule, family, dict(labels))
        if key is not None and source.total is not None and source.sum is not None:
            yield key, source


def _source(
    found: dict[tuple[tuple[str, str], ...], _Source], labels: Mapping[str, str], without: Sequence[str]
) -> _Source:
    identity = tuple(sorted((label, value) for label, value in labels.items() if label not in without))
    return found.setdefault(identity, _Source())


def _note(source: _Source, labels: Mapping[str, str], mark: str, at: int) -> None:
    if mark in labels:
        bound = _bound(labels[mark])
        if bound is not None:
            source.below[bound] = [at]
    elif _RANGES in labels:
        end = _bound(labels[_RANGES].rpartition("...")[2])
        if end is not None:
            source.ranges.append((end, at))


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if isnan(bound) or bound == -inf else bound
