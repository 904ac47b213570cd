"""A file that lists targets, as they stand in the configuration: every mistake with its place, the sound ones used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import ValidationError

from exporter.config.environment import AsWritten, Expansion
from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.loader import LARGEST_FILE
from exporter.config.messages import explain
from exporter.config.nodes import Malformed, Node, read
from exporter.config.problems import ConfigError, Report
from exporter.config.references import References
from exporter.config.tree import Reading
from exporter.model.problem import Problem
from exporter.publishing.document import TargetDocument

_ENTRY = re.compile(r"\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class TargetFile:
    """What one file holds: sound entries and the mistakes of the others, by their position."""

    documents: Mapping[int, TargetDocument]
    problems: Mapping[int, tuple[Problem, ...]]
    watched: tuple[Path, ...]
    parse_seconds: float = 0.0
    validate_seconds: float = 0.0


def load_targets(path: Path, environ: Mapping[str, str]) -> TargetFile:
    """Reads a list of targets, YAML or JSON; raises ConfigError if it cannot be read as such."""
    begin = perf_counter()
    report = Report(str(path))
    root = _root(path)
    if root is None:
        # An editor may have cut it to nothing a moment ago: that must not cost its targets.
        raise ConfigError([Problem("the file is empty: write [] if there are no targets", file=str(path))], [path])
    entries = Reading(report, Expansion(environ)).root(root)
    if not isinstance(entries, list):
        if not report.problems():
            report.add((), "expected a list of targets")
        raise ConfigError(report.problems(), [path])
    parsed = perf_counter()
    references = References(report, path.parent)
    documents = {index: _document(index, values, report, references) for index, values in enumerate(entries)}
    problems: dict[int, tuple[Problem, ...]] = {}
    for problem in report.problems():
        entry = _ENTRY.match(problem.path)
        index = int(entry[1]) if entry else -1
        problems[index] = (*problems.get(index, ()), problem)
    sound = {index: one for index, one in documents.items() if one is not None and index not in problems}
    for index in documents.keys() - sound.keys() - problems.keys():  # there were too many to list
        problems[index] = (Problem("not a target", f"[{index}]", str(path)),)
    problems.pop(-1, None)
    return TargetFile(
        sound,
        problems,
        tuple(references.watched),
        parsed - begin,
        perf_counter() - parsed,
    )


def document_values(text: str) -> object:
    """The values of a document that is no file of ours: as strict, and without variables; ValueError says why not."""
    report = Report("")
    try:
        root = read(text)
    except Malformed as error:
        raise ValueError(f"line {error.line}, column {error.column}: {error.message}") from None
    values = Reading(report, AsWritten()).root(root) if root is not None else None
    if problems := report.problems():
        raise ValueError("; ".join(f"line {one.line}, column {one.column}: {one.message}" for one in problems))
    return values


def _root(path: Path) -> Node | None:
    try:
        return read(decode(read_bytes(path, LARGEST_FILE)))
    except Unreadable as error:
        problem = Problem(f"cannot read the targets: {error}", file=str(path))
    except Malformed as error:
        problem = Problem(error.message, "", str(path), error.line, error.column)
    raise ConfigError([problem], [path])


def _document(index: int, values: Any, report: Report, references: References) -> TargetDocument | None:
    if not isinstance(values, dict):
        if not report.is_broken((index,)):
            report.add((index,), "expected a mapping (keys with values)")
        return None
    references.resolve(TargetDocument, values, (index,))
    try:
        return TargetDocument.model_validate_json(json.dumps(values))
    except ValidationError as error:
        found = error.errors(include_url=False)
        for one in found:
            one["loc"] = (index, *one["loc"])
        explain(found, report, references.models)
    return None
