"""Mappings of upstream series to ours: those that come with the daemon by name, others by the path of their file."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path as FilePath

import exporter.publishing.dialects
from exporter.config.environment import Expansion
from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.problems import ConfigError, Path, Report
from exporter.config.references import References
from exporter.config.typed import plain_values, validated
from exporter.model.problem import Problem
from exporter.publishing.dialects.mapping import Dialect

LARGEST_MAPPING = 1 << 18
_LONGEST_GUESS = 64  # comparing is quadratic in the length
_FOLDER = FilePath(exporter.publishing.dialects.__path__[0])


@cache
def builtin() -> tuple[str, ...]:
    """The names of the dialects that come with the daemon."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


@cache
def known(name: str) -> Dialect:
    """One that comes with the daemon."""
    return read(_FOLDER / f"{name}.yaml", {})


def read(file: FilePath, environ: Mapping[str, str]) -> Dialect:
    """A mapping file; raises Unreadable, or ConfigError with every mistake in it."""
    report = Report(str(file))
    text = decode(read_bytes(file, LARGEST_MAPPING))
    values = plain_values(text, report, Expansion(environ), "the mapping is empty: it needs at least one rule")
    references = References(report, file.parent)
    references.resolve(Dialect, values)
    dialect = validated(Dialect, values, report, references.models)
    if dialect is None or report.problems():
        raise ConfigError(report.problems())
    return dialect


class Mappings:
    """Collects the mappings a configuration names, and everything wrong with them."""

    def __init__(self, base: FilePath, environ: Mapping[str, str]) -> None:
        self.found: dict[str, Dialect] = {}
        self.watched: dict[FilePath, None] = {}
        self.problems: list[Problem] = []
        self._base = base
        self._environ = environ

    def load(self, name: str, path: Path, report: Report) -> None:
        """Reads the mapping of that name; a file that cannot be read is a mistake of the value that names it."""
        if name in builtin():
            self.found[name] = known(name)
            return
        file = self._base / name
        if file in self.watched:
            return
        self.watched[file] = None
        try:
            self.found[name] = read(file, self._environ)
        except Unreadable as error:
            close = get_close_matches(name[:_LONGEST_GUESS], builtin(), n=1)
            guess = f"; did you mean '{close[0]}'?" if close else ""
            report.add(path, f"neither {', '.join(builtin())} nor a mapping file: cannot read {file}: {error}{guess}")
        except ConfigError as error:
            self.problems += error.problems
