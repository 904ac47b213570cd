"""A collector as an outside package brings it: the data set of the benchmarks, 5 % of it new in each cycle."""

from __future__ import annotations

from pathlib import Path

from exporter.collectors.parts import Parts
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.metric import Family, Result, Samples
from tests.benchmarks.p2_publish import data


class Options(CollectorOptions):
    """How much there is, and the file whose presence sets it in motion: before, pages can be compared."""

    series: int = 1000
    starter: str = ""


class Moving:
    """One series in twenty gets a new number, the next twentieth in the next cycle."""

    name = "moving"

    def __init__(self, series: int, starter: str) -> None:
        self._columns = data(series)
        self.families: tuple[Family, ...] = tuple(column.family for column in self._columns)
        self._share = max(1, series // 20)
        self._total = series
        self._next = 0
        self._starter = Path(starter)

    def collect(self, run: Run) -> Result:
        if self._starter.exists():
            self._move(self._next, self._next + self._share)
            self._next = (self._next + self._share) % self._total
        return Result(tuple(self._columns))

    def _move(self, begin: int, end: int) -> None:
        first = 0
        for at, column in enumerate(self._columns):
            size = len(column.values)
            low, high = max(begin - first, 0), min(end - first, size)
            if low < high:
                values = (
                    *column.values[:low],
                    *[value + 1.0 for value in column.values[low:high]],
                    *column.values[high:],
                )
                self._columns[at] = Samples(column.family, column.keys, values)
            first += size


def build(options: Options, parts: Parts) -> Moving:
    """The collector."""
    return Moving(options.series, options.starter)
