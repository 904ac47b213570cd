"""From YAML text to typed values: what is wrong is in the report, with its place."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from exporter.config.environment import Expansion
from exporter.config.messages import explain
from exporter.config.nodes import Malformed, read
from exporter.config.problems import ConfigError, Report
from exporter.config.tree import Reading
from exporter.model.problem import Problem

EMPTY = "configuration is empty: give at least one key, or no file at all to run on the defaults"

M = TypeVar("M", bound=BaseModel)


def plain_values(text: str, report: Report, expansion: Expansion, empty: str = EMPTY) -> dict[str, Any]:
    """The plain values of the document, which must be a mapping."""
    try:
        root = read(text)
    except Malformed as error:
        raise ConfigError([Problem(error.message, "", report.file, error.line, error.column)]) from None
    if root is None or (root.tag == "null" and not root.quoted):
        raise ConfigError([Problem(empty, file=report.file)])
    values = Reading(report, expansion).root(root)
    if not isinstance(values, dict):
        if not report.is_broken(()):
            report.add((), "expected keys with values at the top level")
        raise ConfigError(report.problems())
    return values


def validated(
    model: type[M], values: dict[str, Any], report: Report, models: dict[tuple[str | int, ...], type[BaseModel]]
) -> M | None:
    """The typed values; None if something is wrong with them, which is then in the report."""
    try:
        # As JSON, because strict validation of Python values refuses a list where a tuple is declared.
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        explain(error.errors(include_url=False), report, models)
    except Exception as error:  # a plugin checks its options with code of its own
        report.add(("collectors",), f"a check of a plugin's options failed with {type(error).__name__}")
    return None
