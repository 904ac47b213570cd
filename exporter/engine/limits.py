"""What may enter a snapshot: every sample is checked here, because one bad byte on a page loses the whole scrape.

The common case, columns of floats under the same labels as last time, is recognised with a few calls into C. Only what
differs is looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from exporter.model.metric import Family, Key, Kind, Result, Samples
from exporter.model.reason import Drop

_FLOAT_ONLY = frozenset({float})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may come out of one collector, and of all together."""

    series_per_collector: int = 50_000
    series_total: int = 200_000
    label_value_bytes: int = 1024


def series_per_metric(family: Family) -> int:
    """How many lines of a page one metric of this family takes: a histogram counts with all its buckets."""
    if family.kind is Kind.HISTOGRAM:
        return len(family.bounds) + 3
    return family.width


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is left of a result, how many series that is, and what was dropped."""

    samples: tuple[Samples, ...]
    series: int
    drops: Mapping[Drop, int]


NOTHING = Accepted((), 0, {})


class Intake:
    """Checks the results of one collector, remembering the last so that equal columns need no second look."""

    def __init__(self, families: Sequence[Family] | None, wanted: Callable[[str], bool], limits: Limits) -> None:
        self._open = families is None  # the bridge: families are known from the first result that has them
        self._families = {family.name: family for family in families or ()}
        self._wanted = {name: wanted(name) for name in self._families}
        self._want = wanted
        self._limits = limits
        self._last_result: Result | None = None
        self._last = NOTHING
        self._columns: dict[str, Samples] = {}

    def accept(self, result: Result) -> Accepted:
        """The result without what is not fit for a page."""
        if result is self._last_result:
            return self._last
        drops: Counter[Drop] = Counter()
        columns: dict[str, Samples] = {}
        left = self._limits.series_per_collector
        for raw in result.samples:
            if not isinstance(raw, Samples) or not self._declared(raw.family):
                drops[Drop.FAMILY] += len(raw.keys) if isinstance(raw, Samples) else 1
                continue
            family = raw.family
            if not self._wanted[family.name]:
                continue
            earlier = columns.get(family.name)
            if earlier is not None:
                left += len(earlier.keys) * series_per_metric(family)
                raw = Samples(family, (*earlier.keys, *raw.keys), (*earlier.values, *raw.values))
            column = self._check(family, raw, left // series_per_metric(family), drops)
            left -= len(column.keys) * series_per_metric(family)
            columns[family.name] = column
        self._columns = columns
        kept = tuple([column for column in columns.values() if column.keys])
        self._last_result, self._last = result, Accepted(kept, self._limits.series_per_collector - left, drops)
        return self._last

    def _declared(self, family: Family) -> bool:
        known = self._families.get(family.name)
        if known is None and self._open and not family.complaints():
            self._families[family.name] = known = family
            self._wanted[family.name] = self._want(family.name)
        return known is family or known == family

    def _check(self, family: Family, raw: Samples, room: int, drops: Counter[Drop]) -> Samples:
        keys, values, width = raw.keys, raw.values, family.width
        if len(values) != len(keys) * width:
            drops[Drop.VALUE] += len(keys)
            return Samples(family, (), ())
        last = self._columns.get(family.name)
        if last is raw and len(keys) <= room:
            return raw
        if (
            last is not None
            and len(keys) <= room
            and _FLOAT_ONLY.issuperset(map(type, values))
            and (keys is last.keys or keys == last.keys)
            and _plausible(family.kind, values)
        ):
            # The same object as last time: whatever remembers it by identity need not compare again.
            return Samples(family, last.keys, tuple(values))
        return self._one_by_one(family, raw, room, drops)

    def _one_by_one(self, family: Family, raw: Samples, room: int, drops: Counter[Drop]) -> Samples:
        width, flat = family.width, raw.values
        good: dict[Key, Sequence[float]] = {}
        for at, raw_key in enumerate(raw.keys):
            if len(good) >= room:
                drops[Drop.BUDGET] += len(raw.keys) - at
                break
            numbers = [_number(value) for value in flat[at * width : (at + 1) * width]]
            key = _key(raw_key, len(family.labels), self._limits.label_value_bytes)
            if key is None:
                drops[Drop.LABEL] += 1
            elif None in numbers or not _plausible(family.kind, numbers):  # type: ignore[arg-type]
                drops[Drop.VALUE] += 1
            elif key in good:
                drops[Drop.DUPLICATE] += 1
            else:
                good[key] = numbers  # type: ignore[assignment]
        return Samples(family, tuple(good), tuple([number for numbers in good.values() for number in numbers]))


def _plausible(kind: Kind, values: Sequence[float]) -> bool:
    """Whether numbers of this kind can be true: a gauge may be anything, a count is never negative, NaN or endless."""
    if kind is Kind.COUNTER:
        return not values or (min(values) >= 0.0 and isfinite(sum(values)))
    if kind is Kind.HISTOGRAM:
        return not values or (min(values) >= 0.0 and isfinite(sum(values)))
    return True


def _number(value: Any) -> float | None:
    if type(value) is float:
        return value
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    try:
        return float(value)
    except Exception:  # somebody's number type may raise anything
        return None


def _key(key: Any, length: int, limit: int) -> Key | None:
    if not isinstance(key, tuple) or len(key) != length:
        return None
    texts = []
    for value in key:
        text = _text(value)
        if text is None or len(text) > limit or (not text.isascii() and len(text.encode()) > limit):
            return None
        texts.append(text)
    return tuple(texts)


def _text(value: Any) -> str | None:
    """Text that can be encoded: numbers are written out, bytes decoded, anything else has no place in a label."""
    try:
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str):
            text = str.__str__(value)
            return text if text.isascii() or text.encode() else None
        return str(value) if isinstance(value, int) else None
    except (UnicodeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Merged:
    """The samples of all collectors as they go on the page together."""

    samples: Mapping[str, tuple[Samples, ...]]
    series: int
    drops: Sequence[tuple[str, Drop, int]]


class Merge:
    """Brings the collectors' samples together: first in the order of the configuration wins, the total is bounded."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __call__(self, accepted: Mapping[str, Accepted]) -> Merged:
        owners: dict[str, Family] = {}
        columns: dict[str, list[Samples]] = {}
        drops: list[tuple[str, Drop, int]] = []
        merged: dict[str, tuple[Samples, ...]] = {}
        left = self._limits.series_total
        for name, part in accepted.items():
            kept = part.samples
            clash = False
            for column in kept:
                family = column.family
                for claim in family.claims:
                    clash |= owners.setdefault(claim, family) is not family
            if clash:
                kept = tuple(self._without_clashes(name, kept, owners, columns, drops))
            series = part.series if kept is part.samples else _series(kept)
            if series > left:
                kept = tuple(self._within(name, kept, left, drops))
                series = _series(kept)
            left -= series
            for column in kept:
                columns.setdefault(column.family.name, []).append(column)
            merged[name] = kept
        return Merged(merged, self._limits.series_total - left, drops)

    @staticmethod
    def _without_clashes(
        name: str,
        kept: tuple[Samples, ...],
        owners: Mapping[str, Family],
        columns: Mapping[str, list[Samples]],
        drops: list[tuple[str, Drop, int]],
    ) -> list[Samples]:
        result = []
        for column in kept:
            if any(owners[claim] != column.family for claim in column.family.claims):
                drops.append((name, Drop.FAMILY, len(column.keys)))
                continue
            earlier = columns.get(column.family.name)
            if earlier is not None:
                taken = {key for samples in earlier for key in samples.keys}
                rows = [(key, numbers) for key, numbers in column.rows() if key not in taken]
                if len(rows) < len(column.keys):
                    drops.append((name, Drop.DUPLICATE, len(column.keys) - len(rows)))
                    values = tuple([number for _, numbers in rows for number in numbers])
                    column = Samples(column.family, tuple([key for key, _ in rows]), values)
            if column.keys:
                result.append(column)
        return result

    @staticmethod
    def _within(name: str, kept: tuple[Samples, ...], left: int, drops: list[tuple[str, Drop, int]]) -> list[Samples]:
        result = []
        for column in kept:
            cost = series_per_metric(column.family)
            take = min(left // cost, len(column.keys))
            if take < len(column.keys):
                drops.append((name, Drop.BUDGET, len(column.keys) - take))
                column = Samples(column.family, column.keys[:take], column.values[: take * column.family.width])
            left -= take * cost
            if take:
                result.append(column)
        return result


def _series(columns: Sequence[Samples]) -> int:
    return sum(len(column.keys) * series_per_metric(column.family) for column in columns)
