"""Reads a page in either format, as little of it as is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
OWN = ("platform_exporter_", "process_", "python_")

Labels = tuple[tuple[str, str], ...]


class Page:
    """The samples of one page. Numbers are looked up by name and by as many labels as are given."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _lines(self) -> Mapping[str, list[str]]:
        lines: dict[str, list[str]] = {}
        for line in self.text.split("\n"):
            if line and not line.startswith("#"):
                lines.setdefault(re.split("[{ ]", line, maxsplit=1)[0], []).append(line)
        return lines

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return set(self._lines)

    def series(self, name: str) -> dict[Labels, float]:
        """Every sample of this name, by its labels as they are written."""
        found = {}
        for line in self._lines.get(name, ()):
            body, _, number = line.rpartition(" ")
            found[tuple(_LABEL.findall(body[len(name) :]))] = float(number)
        return found

    def get(self, name: str, **labels: str) -> float | None:
        """The one sample with these labels among its own; None if there is none."""
        wanted = set(labels.items())
        found = [value for of, value in self.series(name).items() if wanted <= set(of)]
        assert len(found) <= 1, f"{name}{labels} is not one series"
        return found[0] if found else None

    def value(self, name: str, **labels: str) -> float:
        """The one sample with these labels, which must be there."""
        found = self.get(name, **labels)
        assert found is not None, f"{name}{labels} is not on the page"
        return found

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples with these labels."""
        wanted = set(labels.items())
        return sum(value for of, value in self.series(name).items() if wanted <= set(of))

    def own(self, name: str, **labels: str) -> float:
        """A number the daemon has about itself; 0 if there is none."""
        return self.get(f"platform_exporter_{name}", **labels) or 0.0

    def belonging_to(self, collector: str) -> list[str]:
        """Lines of what a plugin of the tests made: its families begin with its name."""
        return [line for name, lines in self._lines.items() if name.startswith(f"{collector}_") for line in lines]

    @cached_property
    def foreign(self) -> str:
        """Everything but what the daemon says about itself."""
        lines = []
        for line in self.text.split("\n"):
            name = line.split(" ", 3)[2] if line.startswith(("# HELP", "# TYPE", "# UNIT")) else line
            if not name.startswith(OWN):
                lines.append(line)
        return "\n".join(lines)
