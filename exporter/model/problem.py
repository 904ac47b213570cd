"""What is wrong with a configuration, and what a reload did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, with its place. It never quotes the offending value: that may be a secret."""

    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload changed, or would change; with problems nothing was applied."""

    changes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
