"""From a page in a dialect to rows of our families.

Which number goes where depends on the series of a page only, and those rarely change: it is worked out once per layout.
What then remains to be done in a cycle is adding up numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.model.metric import Family, Key, Kind
from exporter.publishing.dialects.catalogue import FAMILIES, GENERIC, QUEUE
from exporter.publishing.dialects.compounds import Compounds, compounds
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Dialect, Rule
from exporter.publishing.dialects.page import Layout, Page
from exporter.publishing.dialects.scalars import Remainder, Scalars, Term, terms

_Place = tuple[str, int, Key]


class Rows(NamedTuple):
    """Rows of one family of the catalogue with the same bounds: label values, and the numbers of each in a row."""

    family: str
    bounds: tuple[float, ...]
    keys: tuple[Key, ...]
    values: tuple[float, ...]


class Translation(NamedTuple):
    """What a page says in our words, and the families of which it says nothing."""

    rows: tuple[Rows, ...] = ()
    absent: tuple[str, ...] = ()


class Translator:
    """Translates the pages of one replica; `origin` is appended to the label values of every row."""

    def __init__(self, dialect: Dialect, labelling: Labelling, origin: Key = ()) -> None:
        self._labelling = labelling
        self._origin = origin
        self._rules: dict[str, list[Rule]] = {}
        for rule in dialect.rules:
            self._rules.setdefault(rule.family, []).append(rule)
        self._expected = tuple(dict.fromkeys((*QUEUE, *GENERIC, *self._rules)))
        self._layout: Layout | None = None
        self._plan: Sequence[Scalars | Compounds] = ()
        self._remainders: dict[_Place, Remainder] = {}

    def __call__(self, page: Page) -> Translation:
        """The page in our words."""
        if page.layout is not self._layout:
            used: dict[_Place, Remainder] = {}
            self._plan = [step for name in self._rules for step in self._planned(FAMILIES[name], page.layout, used)]
            self._layout, self._remainders = page.layout, used
        rows = [Rows(step.family, step.bounds, *step.rows(page.values)) for step in self._plan]
        present = {found.family for found in rows if found.keys}
        absent = tuple([name for name in self._expected if name not in present])
        return Translation(tuple([found for found in rows if found.keys]), absent)

    def _planned(self, family: Family, layout: Layout, used: dict[_Place, Remainder]) -> Iterator[Scalars | Compounds]:
        rules = self._rules[family.name]
        if family.kind in (Kind.HISTOGRAM, Kind.SUMMARY):
            yield from compounds(layout, rules, family, self._labelling, self._origin)
            return
        found: dict[Key, list[Term]] = {}
        for number, rule in enumerate(rules):
            for key, term in terms(layout, rule, family, self._labelling).items():
                if rule.minus:
                    # Kept over changes of the layout: a page with one series more is no restart.
                    place = (family.name, number, key)
                    term.remainder = used[place] = self._remainders.get(place) or Remainder()
                found.setdefault(key, []).append(term)
        yield Scalars(family.name, found, self._origin)
