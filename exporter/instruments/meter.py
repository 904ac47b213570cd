"""Instruments whose capture is a copy of a flat list, and whose hot path is one addition.

Each instrument keeps the numbers of all its label sets in one list of floats; a cell is a position in it. The engine
captures every instrument once per snapshot, so that copy has to cost microseconds even with thousands of series.
Single additions need no lock: the interpreter switches threads only at calls and jumps, and there is none between
reading a list item and writing it back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from exporter.model.metric import Family, Key, Kind, Samples

_new = tuple.__new__


class _Cell:
    __slots__ = ("_at", "_values")

    def __init__(self, values: list[float], at: int, bounds: tuple[float, ...]) -> None:
        self._values = values
        self._at = at

    def move(self, values: list[float], at: int) -> None:
        """The numbers live elsewhere from now on."""
        self._values = values
        self._at = at


class CounterCell(_Cell):
    """One series that only goes up."""

    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        self._values[self._at] += amount

    @property
    def value(self) -> float:
        return self._values[self._at]


class GaugeCell(_Cell):
    """One series that is set."""

    __slots__ = ()

    def set(self, value: float) -> None:
        self._values[self._at] = value

    def inc(self, amount: float = 1.0) -> None:
        self._values[self._at] += amount

    def dec(self, amount: float = 1.0) -> None:
        self._values[self._at] -= amount

    @property
    def value(self) -> float:
        return self._values[self._at]


class HistogramCell(_Cell):
    """One histogram: a count per bucket, not cumulative, then the overflow bucket and the sum."""

    __slots__ = ("_bounds", "_sum")

    def __init__(self, values: list[float], at: int, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.move(values, at)

    def move(self, values: list[float], at: int) -> None:
        super().move(values, at)
        self._sum = at + len(self._bounds) + 1

    def observe(self, value: float) -> None:
        values = self._values
        values[self._at + bisect_left(self._bounds, value)] += 1.0
        values[self._sum] += value

    @property
    def count(self) -> float:
        return sum(self._values[self._at : self._sum])


C = TypeVar("C", bound=_Cell)


class Instrument(Generic[C]):
    """All series of one family; label sets can be removed again."""

    def __init__(self, family: Family, cell: type[C]) -> None:
        self.family = family
        self._cell = cell
        self._values: list[float] = []
        self._cells: dict[Key, C] = {}
        self._keys: tuple[Key, ...] | None = ()

    def labels(self, *values: str) -> C:
        """The cell for these label values; it starts at 0 the first time."""
        try:
            return self._cells[values]
        except KeyError:
            return self._add(values)

    def _add(self, key: Key) -> C:
        if len(key) != len(self.family.labels):
            raise ValueError(f"{self.family.name} takes the labels {self.family.labels}, not {key}")
        at = len(self._values)
        self._values.extend([0.0] * self.family.width)
        cell = self._cells[key] = self._cell(self._values, at, self.family.bounds)
        self._keys = None
        return cell

    def remove(self, *first: str) -> None:
        """Forgets every series whose first label is one of these. Cells handed out for them count into the void."""
        values = frozenset(first)
        gone = [key for key in self._cells if key[0] in values]
        for key in gone:
            del self._cells[key]
        if gone:
            self._rebuild()

    def clear(self) -> None:
        """Forgets every series."""
        self._cells.clear()
        self._rebuild()

    def _rebuild(self) -> None:
        width = self.family.width
        old, new = self._values, list[float]()
        for cell in self._cells.values():
            at = cell._at
            cell.move(new, len(new))
            new.extend(old[at : at + width])
        self._values = new
        self._keys = None

    def keys(self) -> tuple[Key, ...]:
        """The label sets; the same object each time while none comes or goes."""
        if self._keys is None:
            self._keys = tuple(self._cells)
        return self._keys

    def capture(self) -> Samples:
        """The numbers as they stand."""
        return Samples(self.family, self.keys(), tuple(self._values))


class Meter:
    """The instruments of one owner, in the order they were declared."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._instruments: list[Instrument[CounterCell] | Instrument[GaugeCell] | Instrument[HistogramCell]] = []

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Instrument[CounterCell]:
        instrument = Instrument(self._family(name, help, Kind.COUNTER, labels), CounterCell)
        self._instruments.append(instrument)
        return instrument

    def gauge(self, name: str, help: str, labels: Sequence[str] = (), unit: str = "") -> Instrument[GaugeCell]:
        instrument = Instrument(self._family(name, help, Kind.GAUGE, labels, unit), GaugeCell)
        self._instruments.append(instrument)
        return instrument

    def histogram(
        self, name: str, help: str, bounds: Iterable[float], labels: Sequence[str] = ()
    ) -> Instrument[HistogramCell]:
        family = self._family(name, help, Kind.HISTOGRAM, labels, "seconds" * name.endswith("_seconds"), tuple(bounds))
        instrument = Instrument(family, HistogramCell)
        self._instruments.append(instrument)
        return instrument

    def _family(
        self, name: str, help: str, kind: Kind, labels: Sequence[str], unit: str = "", bounds: tuple[float, ...] = ()
    ) -> Family:
        return Family(self._prefix + name, help, kind, tuple(labels), unit, bounds)

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(instrument.family for instrument in self._instruments)

    def capture(self) -> tuple[Samples, ...]:
        """Every instrument that has a series."""
        # Written out, and not by the constructor of Samples, which costs more than the copy: each cycle does this.
        return tuple(
            [
                _new(Samples, (instrument.family, instrument._keys or instrument.keys(), tuple(instrument._values)))
                for instrument in self._instruments
                if instrument._cells
            ]
        )
