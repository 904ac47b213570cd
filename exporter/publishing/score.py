"""One number for how well alerts get out, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from types import MappingProxyType

WEIGHTS: Mapping[str, float] = MappingProxyType({"success": 0.4, "availability": 0.3, "performance": 0.2, "queue": 0.1})
HEALTHY, DEGRADED = 90.0, 70.0
WORST_P95 = 2.0  # seconds; from here on the component is 0
WORST_DEPTH = 1000.0  # jobs that wait


class Basis(StrEnum):
    """The time a component is about: the last hour, all the time the services have run, or this moment."""

    WINDOW = "window"
    LIFETIME = "lifetime"
    NOW = "now"


class ScoreState(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the score; without a value it has no weight, and the others have its share."""

    value: float | None = None
    weight: float = 0.0
    basis: Basis | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """From 0 to 100; None if nothing is known of any component."""

    status: ScoreState
    score: float | None
    components: Mapping[str, Component]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name, component in self.components.items() if component.value is None)


def score(values: Mapping[str, tuple[float, Basis] | None]) -> Score:
    """The score of these components, each a value from 0 to 100 and its basis."""
    known = {name: found for name in WEIGHTS if (found := values.get(name)) is not None and isfinite(found[0])}
    whole = sum(WEIGHTS[name] for name in known)
    components = {
        name: Component(min(max(known[name][0], 0.0), 100.0), round(WEIGHTS[name] / whole, 9), known[name][1])
        if name in known
        else Component()
        for name in WEIGHTS
    }
    if not known:
        return Score(ScoreState.UNKNOWN, None, components)
    number = sum(component.weight * (component.value or 0.0) for component in components.values())
    # Weights that are scaled up add up to 1 but for the last digits.
    number = round(min(number, 100.0), 9)
    return Score(_state(number), number, components)


def _state(number: float) -> ScoreState:
    if number >= HEALTHY:
        return ScoreState.HEALTHY
    return ScoreState.DEGRADED if number >= DEGRADED else ScoreState.UNHEALTHY


def availability(healthy: int, probed: int) -> float | None:
    """Of the targets that are switched on and have been probed the share that is healthy."""
    return 100.0 * healthy / probed if probed else None


def performance(p95: float) -> float:
    """100 for at once, 0 from two seconds on."""
    return 100.0 * (1.0 - min(p95 / WORST_P95, 1.0))


def queue(depth: float) -> float:
    """100 for an empty queue, 0 from a thousand jobs on."""
    return 100.0 * (1.0 - min(max(depth, 0.0) / WORST_DEPTH, 1.0))
