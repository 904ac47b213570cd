"""Families are declared before any sample exists; samples come as columns, one per family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")

# Prometheus's service discovery attaches these to every scraped series; a series of ours that carries one
# would reach rules and panels as `exported_…`.
DISCOVERY_LABELS = frozenset({"job", "instance", "namespace", "service", "pod", "container", "endpoint", "node"})


class Kind(StrEnum):
    """Metric types both exposition formats know."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNKNOWN = "unknown"


_SUFFIXES: Mapping[Kind, tuple[str, ...]] = {
    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
    Kind.SUMMARY: ("", "_sum", "_count"),
}
_BOUND_LABEL: Mapping[Kind, str] = {Kind.HISTOGRAM: "le", Kind.SUMMARY: "quantile"}


@dataclass(frozen=True, slots=True)
class Family:
    """A declared metric. Names of counters end in `_total`; `bounds` are the buckets, or a summary's quantiles.

    With `open_bounds` the declaration has none: what was measured elsewhere comes with the bounds it has there, in one
    column for each set of bounds.
    """

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    unit: str = ""
    bounds: tuple[float, ...] = ()
    open_bounds: bool = False

    # How many numbers one metric of this family takes in `Samples.values`, and the names no other family may use.
    # Computed once: both are asked for every family in every cycle.
    width: int = field(init=False, repr=False, compare=False)
    claims: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A histogram: one per bucket, the overflow bucket, the sum. A summary: one per quantile, the sum, the count.
        compound = self.kind in (Kind.HISTOGRAM, Kind.SUMMARY)
        object.__setattr__(self, "width", len(self.bounds) + 2 if compound else 1)
        object.__setattr__(self, "claims", frozenset((self.base, self.name, *self.sample_names)))

    def declares(self, other: Family) -> bool:
        """Whether the other is this family, or this one with bounds that were left open."""
        return self == other or (self.open_bounds and self == replace(other, bounds=()))

    @property
    def base(self) -> str:
        """The name OpenMetrics declares: a counter's without `_total`."""
        return self.name.removesuffix("_total") if self.kind is Kind.COUNTER else self.name

    @property
    def sample_names(self) -> tuple[str, ...]:
        """Every name a sample of this family can have on the page."""
        return tuple(self.name + suffix for suffix in _SUFFIXES.get(self.kind, ("",)))

    def complaints(self) -> list[str]:
        """What makes this declaration unfit for a page; empty if it is fine."""
        found = []
        if not METRIC_NAME.match(self.name):
            found.append(f"metric name {self.name!r} is not legal")
        if not self.help.strip():
            found.append(f"{self.name}: help text is missing")
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            found.append(f"{self.name}: names of counters, and only theirs, end in _total")
        if len(set(self.labels)) != len(self.labels):
            found.append(f"{self.name}: a label is named twice")
        for label in self.labels:
            if not LABEL_NAME.match(label):
                found.append(f"{self.name}: label name {label!r} is not legal")
            elif label.startswith("__") or label == _BOUND_LABEL.get(self.kind):
                found.append(f"{self.name}: label name {label!r} is reserved")
        if self.bounds and self.kind not in _BOUND_LABEL:
            found.append(f"{self.name}: a {self.kind} has no bounds")
        if list(self.bounds) != sorted(set(self.bounds)):
            found.append(f"{self.name}: bounds must rise")
        if not all(map(isfinite, self.bounds)):
            found.append(f"{self.name}: bounds are finite, the overflow bucket is there of itself")
        return found


class Distribution(NamedTuple):
    """One histogram: how many fell into each bucket (not cumulative, the last is the overflow), and their sum."""

    counts: tuple[float, ...]
    sum: float


class Quantiles(NamedTuple):
    """One summary: the value at each quantile of the family, the sum and how many there were."""

    values: tuple[float, ...]
    sum: float
    number: float


Value = float | Distribution | Quantiles
Key = tuple[str, ...]


class Samples(NamedTuple):
    """All samples of one family, as columns.

    `keys` has one tuple of label values per metric, `values` has `family.width` numbers per metric, in the same order.
    Columns instead of objects: a cycle compares, checks and renders ten thousand of them with a few calls into C.
    """

    family: Family
    keys: tuple[Key, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, family: Family, rows: Mapping[Key, Value] | float) -> Samples:
        """Samples from a mapping of label values to value; a lone number for a family without labels."""
        if not isinstance(rows, Mapping):
            rows = {(): rows}
        width = family.width
        if width == 1:
            return cls(family, tuple(rows), tuple(rows.values()))  # type: ignore[arg-type]  # checked by the engine
        flat: list[float] = []
        for value in rows.values():
            numbers = _flatten(value)
            # A metric of the wrong width would shift all that follow: it becomes one that is dropped as a whole.
            flat.extend(numbers if len(numbers) == width else (None,) * width)  # type: ignore[arg-type]
        return cls(family, tuple(rows), tuple(flat))

    def rows(self) -> list[tuple[Key, tuple[float, ...]]]:
        """Label values with the numbers of each metric."""
        width = self.family.width
        return [(key, self.values[i * width : (i + 1) * width]) for i, key in enumerate(self.keys)]


def _flatten(value: Value) -> Sequence[float]:
    if isinstance(value, Distribution):
        return (*value.counts, value.sum)
    if isinstance(value, Quantiles):
        return (*value.values, value.sum, value.number)
    return ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a collector found: samples, and a frozen detail for what samples cannot carry."""

    samples: Sequence[Samples] = ()
    detail: object = None
