"""What is wrong with a configuration, and where each of its values stands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from exporter.model.problem import Problem

Path = tuple[str | int, ...]

# A file of nothing but mistakes has a hundred thousand of them; nobody reads past the first screens.
MOST_PROBLEMS = 200

_SHOWABLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


class ConfigError(Exception):
    """The configuration cannot be used; every problem found is listed.

    `watched` are the files whose change may mend it: one that is missing now is among them.
    """

    def __init__(self, problems: Iterable[Problem], watched: Iterable[FilePath] = ()) -> None:
        self.problems = tuple(problems)
        self.watched = tuple(watched)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. Its key stands elsewhere and is shown as `name`."""

    line: int
    column: int
    key_line: int
    key_column: int
    name: str


def shown_key(key: str) -> str:
    """The key as it may be shown: `{url "https://…"}` is a key to YAML, so what looks like no key is withheld."""
    return key if _SHOWABLE_KEY.fullmatch(key) else "?"


@dataclass
class Report:
    """Collects the problems of one file, with the places of all values in it."""

    file: str
    places: dict[Path, Place] = field(default_factory=dict)
    _found: dict[Problem, None] = field(default_factory=dict)
    _broken: set[Path] = field(default_factory=set)
    _above_broken: set[Path] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Whether further problems would only be counted out."""
        return len(self._found) > MOST_PROBLEMS

    def add(self, path: Path, message: str, *, at: Path | None = None, key: bool = False) -> None:
        """A problem of the value at `path` (of its key, if `key`), or shown at the place of another."""
        self.add_at(path, message, *self._position(path if at is None else at, key))

    def add_at(self, path: Path, message: str, line: int, column: int) -> None:
        """A problem at a place of its own."""
        if self.full:
            return
        self._found[Problem(message, self.shown(path), self.file, line, column)] = None

    def broken(self, path: Path, message: str, *, key: bool = False) -> None:
        """A problem that leaves no value to judge: whatever follows from its absence is not reported."""
        self.add(path, message, key=key)
        self.mark_broken(path)

    def mark_broken(self, path: Path) -> None:
        """There is no value to judge at `path`, for a reason that is told already."""
        self._broken.add(path)
        self._above_broken.update(path[:length] for length in range(len(path)))

    def is_broken(self, path: Path) -> bool:
        """Whether this value or one around it could not be read."""
        return any(path[:length] in self._broken for length in range(len(path) + 1))

    def is_above_broken(self, path: Path) -> bool:
        """Whether a value inside this one could not be read, so that its fields cannot be judged together."""
        return path in self._above_broken

    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order of the file."""
        found = sorted(self._found, key=lambda problem: (problem.line, problem.column))
        if len(found) > MOST_PROBLEMS:
            return (*found[:MOST_PROBLEMS], Problem("and more: only the first problems are listed", file=self.file))
        return tuple(found)

    def shown(self, path: Path) -> str:
        """The path as people write it, such as `targets.static[1].name`."""
        text = ""
        for length, part in enumerate(path, 1):
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                place = self.places.get(path[:length])
                text += ("." if text else "") + (place.name if place else shown_key(part))
        return text

    def line(self, path: Path) -> int:
        """The line a value stands on."""
        return self.places[path].line

    def _position(self, path: Path, key: bool) -> tuple[int, int]:
        known = path
        while known and known not in self.places:
            known = known[:-1]
        place = self.places[known]
        # What is missing inside a mapping is told at the mapping's key: its first value may stand lines below.
        return (place.key_line, place.key_column) if key or known != path else (place.line, place.column)
