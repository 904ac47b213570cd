"""What may enter a snapshot: every sample is checked here, because one bad byte on a page loses the whole scrape.

The common case, columns of floats under the same labels as last time, is recognised with a few calls into C. Only what
differs is looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from math import isfinite, isnan, trunc
from operator import is_
from typing import Any

from exporter.model.errors import Failure
from exporter.model.metric import Family, Key, Kind, Result, Samples
from exporter.model.reason import Drop, Reason

_FLOAT_ONLY = frozenset({float})
_Column = tuple[str, tuple[float, ...]]  # name, and bounds if they are open
_ANYTHING = frozenset({Kind.GAUGE, Kind.UNKNOWN})


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
        self._open = families is None  # the bridge: families are known only from results
        self._wants = wanted
        self._families = {family.name: family for family in families or () if _sound(family)}
        self._hidden = {name for name in self._families if not wanted(name)}
        self._limits = limits
        self._last_result: object = self  # nothing a collector returns
        self._last = NOTHING
        self._raw: dict[_Column, Samples] = {}  # columns as they came that were fine as a whole
        self._columns: dict[_Column, Samples] = {}

    def accept(self, result: object) -> Accepted:
        """The result without what is not fit for a page; raises Failure if it is none."""
        if result is self._last_result:
            return self._last
        if not isinstance(result, Result):
            if isinstance(result, Coroutine):
                result.close()  # else Python complains that nobody awaited it
            raise Failure(Reason.INTERNAL, f"returned {type(result).__name__} instead of a Result")
        drops: Counter[Drop] = Counter()
        columns, raws = dict[_Column, Samples](), dict[_Column, Samples]()
        left = self._limits.series_per_collector
        for place, pieces in self._sorted(result, drops).items():
            family = pieces[0].family if place[1] else self._families[place[0]]
            raw = pieces[0] if len(pieces) == 1 else _joined(family, pieces)
            cost = series_per_metric(family)
            dropped = drops.total()
            column = self._check(family, raw, left // cost, drops)
            if family.open_bounds:
                column = _without(column, [other for at, other in columns.items() if at[0] == place[0]], drops)
            left -= len(column.keys) * cost
            columns[place] = column
            if drops.total() == dropped:
                raws[place] = raw
        self._raw, self._columns = raws, columns
        kept = tuple([column for column in columns.values() if column.keys])
        accepted = Accepted(kept, self._limits.series_per_collector - left, drops)
        # A list may have other contents next time, and be the same object.
        self._last_result = result if type(result.samples) is tuple else self
        self._last = accepted
        return accepted

    def _sorted(self, result: Result, drops: Counter[Drop]) -> dict[_Column, list[Samples]]:
        """The columns that are wanted, by family and open bounds. What is no column at all is dropped here."""
        if not isinstance(result.samples, tuple | list):
            raise Failure(Reason.INTERNAL, "its samples are no sequence")
        if self._open:
            # Else a collector with new names in every run would fill the memory.
            self._families, self._hidden = {}, set()
        found: dict[_Column, list[Samples]] = {}
        for raw in result.samples:
            if type(raw) is not Samples or type(raw.keys) is not tuple or type(raw.values) is not tuple:
                drops[Drop.FAMILY] += 1
            elif not self._declared(raw.family):
                drops[Drop.FAMILY] += len(raw.keys)
            elif raw.family.name in self._hidden:
                continue
            elif len(raw.values) != len(raw.keys) * raw.family.width:
                drops[Drop.VALUE] += len(raw.keys)
            else:
                family = raw.family
                found.setdefault((family.name, family.bounds if family.open_bounds else ()), []).append(raw)
        return found

    def _declared(self, family: Family) -> bool:
        known = self._families.get(family.name)
        if known is None and self._open and _sound(family):
            self._families[family.name] = known = family
            if not self._wants(family.name):
                self._hidden.add(family.name)
        if known is family or known == family:
            return True
        last = self._columns.get((family.name, family.bounds))
        if last is not None and last.family is family:
            return True
        return known is not None and known.open_bounds and known.declares(family) and _sound(family)

    def _check(self, family: Family, raw: Samples, room: int, drops: Counter[Drop]) -> Samples:
        place = (family.name, family.bounds if family.open_bounds else ())
        keys, values, last = raw.keys, raw.values, self._columns.get(place)
        if last is not None and len(keys) <= room:
            if raw is self._raw.get(place):
                return last
            if (
                _FLOAT_ONLY.issuperset(map(type, values))
                and (keys is last.keys or keys == last.keys)
                and _plausible(family, values)
            ):
                # The same keys as last time: whatever remembers them by identity need not compare again.
                return Samples(family, last.keys, values)
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
            elif None in numbers or not _plausible(family, numbers):  # type: ignore[arg-type]
                drops[Drop.VALUE] += 1
            elif key in good:
                drops[Drop.DUPLICATE] += 1
            else:
                good[key] = numbers  # type: ignore[assignment]
        return Samples(family, tuple(good), tuple([number for numbers in good.values() for number in numbers]))


def _without(column: Samples, others: Sequence[Samples], drops: Counter[Drop]) -> Samples:
    """The column without metrics that are there already, with other bounds."""
    taken = {key for other in others for key in other.keys}
    if taken.isdisjoint(column.keys):
        return column
    rows = [(key, numbers) for key, numbers in column.rows() if key not in taken]
    drops[Drop.DUPLICATE] += len(column.keys) - len(rows)
    return Samples(column.family, tuple([key for key, _ in rows]), tuple([n for _, numbers in rows for n in numbers]))


def _sound(family: Family) -> bool:
    """Whether a declaration may stand on a page; a plugin's may be anything."""
    try:
        return not family.complaints()
    except Exception:
        return False


def _joined(family: Family, pieces: Sequence[Samples]) -> Samples:
    """One column out of several, for collectors that make one per metric."""
    keys, values = [piece.keys for piece in pieces], [piece.values for piece in pieces]
    return Samples(family, tuple(chain.from_iterable(keys)), tuple(chain.from_iterable(values)))


def _plausible(family: Family, values: Sequence[float]) -> bool:
    """Whether numbers of this kind can be true: a gauge may be anything, a count is never negative, NaN or endless.

    How many fell into a bucket is a whole number besides: readers of OpenMetrics refuse the page otherwise.
    """
    if not values or family.kind in _ANYTHING:
        return True
    if family.kind is Kind.COUNTER:
        return min(values) >= 0.0 and isfinite(sum(values))
    width, rest = family.width, list(values)
    if family.kind is Kind.SUMMARY:
        counts = rest[width - 1 :: width]
        del rest[width - 1 :: width]
        sums = rest[width - 2 :: width - 1]
        if any(value < 0.0 for value in rest):
            return False
    else:
        counts, sums = rest, rest[width - 1 :: width]
        del counts[width - 1 :: width]
        if family.bounds and family.bounds[0] < 0.0:
            sums = []  # it may be anything, and is not shown
    if any(number < 0.0 or isnan(number) for number in sums) or min(counts) < 0.0 or not isfinite(sum(counts)):
        return False
    return list(map(trunc, counts)) == counts


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
        return str(value) if isinstance(value, int | float) else None
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

    def __init__(self, limits: Limits, reserved: Iterable[Family] = ()) -> None:
        self._limits = limits
        # The daemon's own families stand on the same page.
        self._reserved = frozenset(claim for family in reserved for claim in family.claims)
        self._last_parts: Sequence[Accepted] = ()
        self._last = Merged({}, 0, ())

    def __call__(self, accepted: Mapping[str, Accepted]) -> Merged:
        """What goes on the page. If every part is the one of last time, so is the answer."""
        parts = list(accepted.values())
        if len(parts) != len(self._last_parts) or not all(map(is_, parts, self._last_parts)):
            self._last = _Merging(self._limits.series_total, self._reserved).of(accepted)
            self._last_parts = parts
        return self._last


class _Merging:
    """One merge: what is taken so far, and how much room is left."""

    def __init__(self, room: int, reserved: Set[str]) -> None:
        self._room = room
        self._left = room
        self._taken = set(reserved)
        self._shown: dict[str, list[Samples]] = {}
        self._keys: dict[str, set[Key]] = {}  # of families that several have
        self._drops: list[tuple[str, Drop, int]] = []

    def of(self, accepted: Mapping[str, Accepted]) -> Merged:
        merged = {name: self._whole(part) or self._piecemeal(name, part) for name, part in accepted.items()}
        return Merged(merged, self._room - self._left, self._drops)

    def _whole(self, part: Accepted) -> tuple[Samples, ...]:
        """All of a part if nothing speaks against it, else nothing."""
        claims, names = set[str](), set[str]()  # the names of families with open bounds, which have several columns
        for column in part.samples:
            if column.family.name not in names and not claims.isdisjoint(column.family.claims):
                return ()
            claims |= column.family.claims
            if column.family.open_bounds:
                names.add(column.family.name)
        if part.series > self._left or not self._taken.isdisjoint(claims):
            return ()
        self._taken |= claims
        self._left -= part.series
        for column in part.samples:
            self._shown.setdefault(column.family.name, []).append(column)
        return part.samples

    def _piecemeal(self, name: str, part: Accepted) -> tuple[Samples, ...]:
        kept = []
        for column in part.samples:
            shown = self._shown.get(column.family.name)
            if shown is not None and _same(shown[0].family, column.family):
                column = self._without_doubles(name, column, shown)
            elif not self._taken.isdisjoint(column.family.claims):
                self._drop(name, Drop.FAMILY, len(column.keys))
                continue
            column = self._within(name, column)
            if column.keys:
                self._taken |= column.family.claims
                self._shown.setdefault(column.family.name, []).append(column)
                if column.family.name in self._keys:
                    self._keys[column.family.name].update(column.keys)
                kept.append(column)
        return tuple(kept)

    def _without_doubles(self, name: str, column: Samples, shown: Sequence[Samples]) -> Samples:
        family = column.family
        if family.name not in self._keys:
            self._keys[family.name] = {key for samples in shown for key in samples.keys}
        taken = self._keys[family.name]
        if taken.isdisjoint(column.keys):
            return column
        rows = [(key, numbers) for key, numbers in column.rows() if key not in taken]
        self._drop(name, Drop.DUPLICATE, len(column.keys) - len(rows))
        values = tuple([number for _, numbers in rows for number in numbers])
        return Samples(family, tuple([key for key, _ in rows]), values)

    def _within(self, name: str, column: Samples) -> Samples:
        cost = series_per_metric(column.family)
        take = min(self._left // cost, len(column.keys))
        self._left -= take * cost
        if take == len(column.keys):
            return column
        self._drop(name, Drop.BUDGET, len(column.keys) - take)
        return Samples(column.family, column.keys[:take], column.values[: take * column.family.width])

    def _drop(self, name: str, reason: Drop, count: int) -> None:
        self._drops.append((name, reason, count))


def _same(one: Family, other: Family) -> bool:
    return one == other or (one.open_bounds and replace(one, bounds=()).declares(other))


def series_of(columns: Sequence[Samples]) -> int:
    """How many series these columns are on the page."""
    return sum(len(column.keys) * series_per_metric(column.family) for column in columns)
