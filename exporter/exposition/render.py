"""Families to bytes, as few of them as possible.

Everything on a line but its number is made once, when its series appears. A cycle then formats all numbers of a family
with one call into C, puts them between the ready pieces and joins. A family whose numbers are those of the last cycle
is not touched at all. The lines of a family are the same in both formats: they are kept once for both.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Sequence, Set
from itertools import accumulate

import msgspec
from prometheus_client.utils import floatToGoString

from exporter.exposition.format import Format
from exporter.model.metric import Family, Key, Kind, Samples

_encode = msgspec.json.Encoder().encode
_SPECIAL = re.compile(r'[\\"\n]')

Place = tuple[str, tuple[float, ...]]


class Renderer:
    """Keeps what it made of each family for the next time. Not for two threads at once."""

    def __init__(self) -> None:
        self._blocks: dict[Place, _Block] = {}

    def render(self, samples: Iterable[Samples], format: Format) -> list[bytes]:
        """A page in pieces. A piece that says the same as last time is the same object as last time."""
        pieces: list[bytes] = []
        declared = ""
        for column in grouped(samples):
            where, name = place(column.family), column.family.name
            block = self._blocks.get(where)
            if block is None or block.family != column.family:
                block = self._blocks[where] = _Block(column.family)
            block.update(column)
            pieces += (block.body,) if name == declared else (block.head(format), block.body)
            declared = name
        if format.end:
            pieces.append(format.end)
        return pieces

    def retain(self, places: Set[Place]) -> None:
        """Forgets every other family."""
        for where in self._blocks.keys() - places:
            del self._blocks[where]


def place(family: Family) -> Place:
    """What stands together under one set of lines: a family, or what of it has the same bounds."""
    return family.name, family.bounds if family.open_bounds else ()


def grouped(samples: Iterable[Samples]) -> list[Samples]:
    """One entry per family that has series, where it first appears: a page must not declare a family twice.

    Of a family with open bounds there is one entry for each set of bounds, one after the other.
    """
    families: dict[str, dict[Place, list[Samples]]] = {}
    for column in samples:
        if column.keys:
            families.setdefault(column.family.name, {}).setdefault(place(column.family), []).append(column)
    return [
        columns[0] if len(columns) == 1 else _merged(columns)
        for places in families.values()
        for columns in places.values()
    ]


def _merged(columns: Sequence[Samples]) -> Samples:
    keys = tuple(key for column in columns for key in column.keys)
    values = tuple(value for column in columns for value in column.values)
    return Samples(columns[0].family, keys, values)


class _Block:
    """One family on the page."""

    __slots__ = ("_bits", "_heads", "_pieces", "_samples", "body", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.body = b""
        self._heads: dict[Format, bytes] = {}
        self._samples = Samples(family, (), ())
        self._bits = b""
        self._pieces: list[bytes] = []

    def head(self, format: Format) -> bytes:
        if format not in self._heads:
            self._heads[format] = format.head(self.family)
        return self._heads[format]

    def update(self, samples: Samples) -> None:
        """Makes the body say what the samples say."""
        if samples is self._samples:
            return
        # Bits, not numbers: 0.0 equals -0.0, and NaN does not equal itself.
        bits = array("d", samples.values).tobytes()
        same_series = samples.keys is self._samples.keys or samples.keys == self._samples.keys
        if not same_series or bits != self._bits:
            pieces = self._pieces if same_series else _pieces(self.family, samples.keys)
            self.body = _filled(pieces, _numbers(samples))
            self._pieces = pieces
        self._samples, self._bits = samples, bits


def _filled(pieces: list[bytes], numbers: Sequence[float]) -> bytes:
    encoded = _encode(numbers)
    texts = encoded[1:-1].split(b",")
    if b"null" in encoded:  # what JSON has for numbers it cannot write
        texts = [_odd(number) if text == b"null" else text for text, number in zip(texts, numbers, strict=True)]
    pieces[1::2] = texts
    return b"".join(pieces)


def _odd(number: float) -> bytes:
    if math.isnan(number):
        return b"NaN"
    return b"+Inf" if number > 0 else b"-Inf"


def _pieces(family: Family, keys: Sequence[Key]) -> list[bytes]:
    """All that stands between the numbers, with an empty slot for each number."""
    templates = _templates(family)
    lines = [template % key for key in _escaped(keys) for template in templates]
    lines[0] = lines[0].removeprefix("\n")
    pieces = [b""] * (2 * len(lines) + 1)
    pieces[:-1:2] = [line.encode() for line in lines]
    pieces[-1] = b"\n"
    return pieces


def _templates(family: Family) -> list[str]:
    """The lines of one metric up to the number, with a place for each label value."""
    labels = [f'{label}="%s"' for label in family.labels]
    plain = _line(family.name, labels)
    if family.kind is Kind.SUMMARY:
        quantiles = [_line(family.name, [*labels, f'quantile="{bound_text(bound)}"']) for bound in family.bounds]
        return [*quantiles, _line(family.name + "_sum", labels), _line(family.name + "_count", labels)]
    if family.kind is Kind.HISTOGRAM:
        bounds = (*family.bounds, math.inf)
        buckets = [_line(family.name + "_bucket", [*labels, f'le="{bound_text(bound)}"']) for bound in bounds]
        if _can_sink(family):
            return buckets
        return [*buckets, _line(family.name + "_sum", labels), _line(family.name + "_count", labels)]
    return [plain]


def _line(name: str, labels: Sequence[str]) -> str:
    # It begins with the end of the line before, so that there is nothing but one number between two pieces.
    return f"\n{name}{{{','.join(labels)}}} " if labels else f"\n{name} "


def bound_text(number: float) -> str:
    """A bound or quantile as it stands in a label."""
    # As every Prometheus client library writes it: a bound written otherwise would be another series.
    return str(floatToGoString(number))  # type: ignore[no-untyped-call]


def _can_sink(family: Family) -> bool:
    """A sum of negative observations is no counter; OpenMetrics wants neither `_sum` nor `_count` then."""
    return bool(family.bounds) and family.bounds[0] < 0


def _escaped(keys: Sequence[Key]) -> Iterable[Key]:
    if not _SPECIAL.search("".join(map("".join, keys))):
        return keys
    return [tuple(map(_escape, key)) for key in keys]


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _numbers(samples: Samples) -> Sequence[float]:
    """The numbers in the order of the lines: a histogram's buckets add up on the page, and it gets its count."""
    family, values = samples.family, samples.values
    if family.kind is not Kind.HISTOGRAM:
        return values
    numbers: list[float] = []
    width, sums = family.width, not _can_sink(family)
    for start in range(0, len(values), width):
        end = start + width - 1
        numbers += accumulate(values[start:end])
        if sums:
            numbers += (values[end], numbers[-1])
    return numbers
