"""What is kept, and for how long. Apart from what keeps it: a configuration without a history loads no SQLite."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_GAP = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """In seconds. After `gap` without a snapshot there is a gap."""

    series: tuple[str, ...] = ("publishing_*",)
    minutes: float = 7 * 86400.0
    retention: float = 400 * 86400.0
    gap: float = LEAST_GAP
