"""A metrics page of a service, taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Series(NamedTuple):
    """One series as its page writes it."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything of a page but its numbers. Pages with the same series share one, so what it leads to is kept."""

    series: tuple[Series, ...]
    places: Mapping[str, tuple[int, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places: dict[str, list[int]] = {}
        for at, series in enumerate(self.series):
            places.setdefault(series.name, []).append(at)
        object.__setattr__(self, "places", {name: tuple(found) for name, found in places.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """The numbers of one scrape, in the order of the layout's series."""

    layout: Layout
    values: Sequence[float]

    def __len__(self) -> int:
        return len(self.values)

    def of(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Labels and value of every series of that name."""
        return [(self.layout.series[at].labels, self.values[at]) for at in self.layout.places.get(name, ())]
