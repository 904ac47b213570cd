"""Single documents of YAML that come from elsewhere: read as strictly as the configuration, with nothing expanded.

Who may write such a document may not see the environment of the daemon.
"""

from __future__ import annotations

from typing import Any

from exporter.config.environment import Expansion
from exporter.config.nodes import Malformed, read
from exporter.config.problems import Report
from exporter.config.tree import Reading

_MOST_TOLD = 3


def read_document(text: str) -> Any:
    """The plain values of the text; a ValueError says what is wrong with it and quotes nothing."""
    report = Report("")
    try:
        root = read(text)
    except Malformed as error:
        raise ValueError(_told(error.line, error.column, error.message)) from None
    values = None if root is None else Reading(report, _Literal({})).root(root)
    if problems := report.problems():
        told = (_told(problem.line, problem.column, problem.message) for problem in problems[:_MOST_TOLD])
        raise ValueError("; ".join(told))
    return values


def _told(line: int, column: int, message: str) -> str:
    return f"YAML, line {line}, column {column}: {message}"


class _Literal(Expansion):
    def expand(self, text: str) -> tuple[str, list[str]]:
        return text, []
