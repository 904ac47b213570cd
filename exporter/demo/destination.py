"""A receiver as the service knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.demo.breaker import Breaker
from exporter.demo.delivery import Publisher
from exporter.demo.limiter import Limiter
from exporter.demo.queue import Priority
from exporter.demo.traffic import Alert

CAPACITIES = {Priority.HIGH: 40, Priority.MEDIUM: 40, Priority.LOW: 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much at once and how fast: quick enough to watch."""

    workers: int = 8
    per_target: int = 3  # workers: a receiver that hangs holds up these and no other receiver
    capacities: Mapping[Priority, int] = field(default_factory=lambda: CAPACITIES)
    retries: int = 3
    backoff: float = 0.5
    backoff_max: float = 8.0
    jitter: float = 0.25
    replay_every: float = 3.0


@dataclass(slots=True, kw_only=True)
class Destination:
    """Where it is, what it wants, and how it is doing."""

    name: str
    url: str
    publisher: Publisher
    wants: Callable[[Alert], bool]
    breaker: Breaker
    limiter: Limiter
    busy: int = 0
