"""What collectors might return: families of every type, labels that would break a page, numbers that are none."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import Any

from exporter.model.metric import Family, Kind, Result, Samples
from tests.exposition.build import Series, bits

_WORDS = (
    *(
        '"',
        "\\",
        "\n",
        "\\n",
        '\\"',
        "\r",
        "\r\n",
        "\x00",
        "\x1b[0m",
        "\x7f",
        "\x85",
        "\u2028",
        "\u200f",
        "\ufeff",
        "\ufffd",
    ),
    *('"} 1\n', "# EOF\n", "\n# TYPE a counter\n", "{", "}", ",", "=", "%s", "%(a)s", "{0}", "$1", " ", "\t", "", "#"),
    *("ä", "ש", "漢", "🚨", "e\u0301", "NaN", "+Inf", "null", "-0", "a", "Z", "0", "\U0010ffff", "\ue000"),
    *("é" * 300, "x" * 1024, "y" * 100),
)
_UNFIT: tuple[Any, ...] = (
    None,
    "\ud800",
    "x" * 1025,
    "é" * 600,
    b"\xff",
    object(),
    1.5,
    True,
    b"fine",
    ["a"],
    math.nan,
)
_LABELS = ("a", "b", "label", "Code", "_x", "le_", "quantile_", "a1", "x" * 60, "instance_id", "A")
_NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e22, 1e21),
    *(
        1e16,
        9007199254740993.0,
        123456789012345680.0,
        1e-7,
        1e-5,
        math.nan,
        math.inf,
        -math.inf,
        math.pi,
        1795188476.5025554,
    ),
)
_NO_NUMBERS: tuple[Any, ...] = (None, "1", "nan", b"1", object(), 10**400, 1j, [], True, 7, 2**53 + 1)
_HELPS = (
    "A.",
    'A "quoted" \\ thing',
    "two\nlines",
    "\r",
    "# EOF",
    "ä 🚨",
    " blanks ",
    "\x00",
    "%s {0}",
    "\ud800",
    "\\",
    '"',
)
_BOUNDS = (0.005, 0.1, 0.25, 1.0, 2.5, 10.0, 1e6, 1e21, 1 / 3, 123456.789, 5e-324, 1e300)
_QUANTILES = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)


def families(dice: Random, name: str) -> list[Family]:
    """Some declarations, most of them good, whose names begin with this one."""
    return [_family(dice, f"{name}_{number}") for number in range(dice.choice((1, 2, 3, 5)))]


def _family(dice: Random, name: str) -> Family:
    kind = dice.choice(list(Kind))
    labels = tuple(dice.sample(_LABELS, dice.choice((0, 1, 1, 2, 4))))
    bounds: tuple[float, ...] = ()
    if kind is Kind.HISTOGRAM:
        bounds = tuple(sorted(dice.sample(_BOUNDS, dice.randrange(5))))
        if dice.random() < 0.1:
            bounds = (-1.0, *bounds)
    elif kind is Kind.SUMMARY:
        bounds = tuple(sorted(dice.sample(_QUANTILES, dice.randrange(4))))
    if dice.random() < 0.03:  # an unfit declaration
        labels, bounds = (*labels, dice.choice(("le", "__a", "a-b", "", "quantile", "ä"))), (2.0, 1.0)
    suffix = "_total" if kind is Kind.COUNTER else ""
    unit = "seconds" if dice.random() < 0.2 else ""
    return Family(f"{name}{'_' * bool(unit)}{unit}{suffix}", dice.choice(_HELPS), kind, labels, unit, bounds)


def result(dice: Random, declared: list[Family]) -> Result:
    """What one run returns."""
    return Result(tuple(_samples(dice, family) for family in declared))


def _samples(dice: Random, family: Family) -> Samples:
    unfit = dice.random() < 0.15
    keys = [tuple(_label(dice, unfit) for _ in family.labels) for _ in range(dice.choice((0, 1, 2, 3, 10)))]
    if not family.labels:
        keys = keys[:1]
    values = [number for _ in keys for number in _row(dice, family, unfit)]
    if dice.random() < 0.01:
        values = values[1:]
    return Samples(family, tuple(keys), tuple(values))


def _label(dice: Random, unfit: bool) -> Any:
    if unfit and dice.random() < 0.2:
        return dice.choice(_UNFIT)
    if dice.random() < 0.1:
        return "".join(chr(_code(dice)) for _ in range(dice.randrange(12)))
    return "".join(dice.choices(_WORDS, k=dice.choice((1, 1, 2, 4))))


def _code(dice: Random) -> int:
    code = dice.randrange(dice.choice((0x80, 0x800, 0x10000, 0x110000)))
    return 0x20 if 0xD800 <= code < 0xE000 else code


def _row(dice: Random, family: Family, unfit: bool) -> Iterator[Any]:
    for at in range(family.width):
        if unfit and dice.random() < 0.2:
            yield dice.choice(_NO_NUMBERS)
        elif _counts(family, at):
            yield dice.choice((-1.0, math.nan, math.inf, 2.0**60)) if unfit else float(dice.randrange(2**30))
        elif family.kind in (Kind.GAUGE, Kind.UNKNOWN) or unfit:
            yield _number(dice)
        else:
            number = abs(_number(dice))
            yield number if number < 1e300 else 1.0  # neither NaN nor without end, also if several are added


def _counts(family: Family, at: int) -> bool:
    """Whether the number at this place of a row is how many there were."""
    last = at == family.width - 1
    return (family.kind is Kind.HISTOGRAM and not last) or (family.kind is Kind.SUMMARY and last)


def _number(dice: Random) -> float:
    if dice.random() < 0.6:
        return dice.choice(_NUMBERS)
    number: float = struct.unpack("d", dice.randbytes(8))[0]
    return number


def series(samples: Samples) -> Iterator[tuple[Series, bytes]]:
    """What a reader must find of these samples on a page, bounds written as Python writes numbers."""
    family = samples.family
    for key, numbers in samples.rows():
        labels = dict(zip(family.labels, key, strict=True))
        for suffix, bound, number in _lines(family, numbers):
            pairs = frozenset({**labels, **bound}.items())
            yield (family.name + suffix, pairs), bits(number)


def _lines(family: Family, numbers: tuple[float, ...]) -> Iterator[tuple[str, dict[str, str], float]]:
    if family.kind is Kind.SUMMARY:
        for quantile, number in zip(family.bounds, numbers, strict=False):
            yield "", {"quantile": repr(quantile)}, number
        yield "_sum", {}, numbers[-2]
        yield "_count", {}, numbers[-1]
    elif family.kind is Kind.HISTOGRAM:
        sums = list(accumulate(numbers[:-1]))
        for bound, number in zip((*family.bounds, math.inf), sums, strict=True):
            yield "_bucket", {"le": repr(bound)}, number
        if not family.bounds or family.bounds[0] >= 0:
            yield "_sum", {}, numbers[-1]
            yield "_count", {}, sums[-1]
    else:
        yield "", {}, numbers[0]


def by_number(found: Series) -> Series:
    """The series with its bound written as Python writes numbers: how it is on the page is pinned elsewhere."""
    name, labels = found
    bounds = ("le", "quantile")
    return name, frozenset((label, repr(float(value)) if label in bounds else value) for label, value in labels)
