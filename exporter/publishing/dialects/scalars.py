"""Counters and gauges out of the numbers of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from exporter.model.metric import Family, Key
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.mapping import Rule
from exporter.publishing.dialects.page import Layout

Places = Mapping[Key, Sequence[int]]


@dataclass(slots=True)
class Remainder:
    """What is left of a counter without another: it never falls while neither of them does.

    The two are not read at the same instant: one may have counted already what the other has not, and a number that
    falls for a moment would be taken for a restart.
    """

    whole: float = 0.0
    part: float = 0.0
    left: float = 0.0

    def __call__(self, whole: float, part: float) -> float:
        left = max(whole - part, 0.0)
        if whole >= self.whole and part >= self.part:
            left = max(left, self.left)
        self.whole, self.part, self.left = whole, part, left
        return left


@dataclass(slots=True, eq=False)
class Term:
    """What one rule contributes to one number: where on the page stands what is added, taken off and divided by."""

    rule: Rule
    at: Sequence[int]
    minus: Sequence[int]
    over: Sequence[int]
    remainder: Remainder = field(default_factory=Remainder)
    states: Mapping[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.states = self.rule.states

    @property
    def plain(self) -> bool:
        """Whether it is one of their numbers as it is."""
        rule = self.rule
        return len(self.at) == 1 and not (self.states or rule.minus or rule.over) and rule.factor == 1.0

    def value(self, values: Sequence[float]) -> float | None:
        """The number; None if there is none."""
        found = [values[at] for at in self.at]
        if self.states:
            found = [self.states[value] for value in found if value in self.states]
        if not found:
            return None
        number = max(found) if self.rule.combine == "max" else float(sum(found))
        if self.rule.minus:
            number = self.remainder(number, sum([values[at] for at in self.minus]))
        if self.rule.over:
            whole = sum([values[at] for at in self.over])
            if not whole:
                return None
            number /= whole
        return number * self.rule.factor


class Scalars:
    """The rows of one family of single numbers, each the sum of its terms."""

    bounds: tuple[float, ...] = ()

    def __init__(self, family: str, terms: Mapping[Key, Sequence[Term]], origin: Key) -> None:
        self.family = family
        self._keys = tuple([(*key, *origin) for key in terms])
        self._terms = tuple(terms.values())
        at = [row[0].at[0] for row in self._terms if len(row) == 1 and row[0].plain]
        # Where every number is one of theirs as it is, one call gets them all.
        self._pick = itemgetter(*at) if len(at) == len(self._terms) > 1 else None

    def rows(self, values: Sequence[float]) -> tuple[tuple[Key, ...], tuple[float, ...]]:
        """Label values and numbers; what has no number at the moment has no row."""
        if self._pick is not None:
            return self._keys, self._pick(values)
        found = [_together(terms, values) for terms in self._terms]
        numbers = tuple([number for number in found if number is not None])
        if len(numbers) == len(found):
            return self._keys, numbers
        return tuple([key for key, number in zip(self._keys, found, strict=True) if number is not None]), numbers


def _together(terms: Sequence[Term], values: Sequence[float]) -> float | None:
    numbers = [number for term in terms if (number := term.value(values)) is not None]
    if not numbers:
        return None
    return max(numbers) if terms[0].rule.combine == "max" else sum(numbers)


def places(layout: Layout, name: str | None, rule: Rule, family: Family, labelling: Labelling) -> Places:
    """Where the series of that name stand, by the label values they have with us."""
    found: dict[Key, list[int]] = {}
    for at in layout.places.get(name or "", ()):
        key = labelling.key(rule, family, layout.series[at].labels)
        if key is not None:
            found.setdefault(key, []).append(at)
    return found


def terms(layout: Layout, rule: Rule, family: Family, labelling: Labelling) -> dict[Key, Term]:
    """The terms of a rule. Without what is to be taken off, or divided by, nothing can be said."""
    if any(name is not None and name not in layout.places for name in (rule.minus, rule.over)):
        return {}
    minus = places(layout, rule.minus, rule, family, labelling)
    over = places(layout, rule.over, rule, family, labelling)
    taken = places(layout, rule.series, rule, family, labelling)
    return {key: Term(rule, at, minus.get(key, ()), over.get(key, ())) for key, at in taken.items()}
