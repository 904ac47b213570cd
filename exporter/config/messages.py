"""pydantic's findings in our words, without the value that was found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from exporter.config.problems import Path, Report
from exporter.config.secrets import secret_fields

# Comparing is quadratic in the length, and no key of ours is longer.
_LONGEST_GUESS = 64

# Shorter ones are part of ordinary words.
_SHORTEST_QUOTE = 4

_MAPPING = "expected a mapping (keys with values)"
_WORDS = {
    "missing": "required key is missing",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected text",
    "string_pattern_mismatch": "the text does not have the expected form",
    "string_unicode": "expected text",
    "path_type": "expected the path of a file",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "set_type": "expected a list",
    "frozen_set_type": "expected a list",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "too few entries: at least {min_length}",
    "too_long": "too many entries: at most {max_length}",
    "string_too_short": "too short: at least {min_length} characters",
    "string_too_long": "too long: at most {max_length} characters",
}
_RAISED = frozenset({"value_error", "assertion_error"})
_KNOWN = frozenset(get_args(ErrorType)) - _RAISED


def explain(errors: Iterable[ErrorDetails], report: Report, models: dict[Path, type[BaseModel]]) -> None:
    """Adds one problem for each finding that is not the consequence of one already reported."""
    for error in errors:
        if report.full:
            return
        path = tuple(_known_parts(error["loc"], report, missing=error["type"] == "missing"))
        if report.is_broken(path) or (error["type"] in _RAISED and report.is_above_broken(path)):
            continue
        if error["type"] == "extra_forbidden":
            report.add(path, _unknown_key(path, models.get(path[:-1])), key=True)
        else:
            report.add(path, _message(error, _is_ours(path, models)), key=error["loc"][-1:] == ("[key]",))


def _known_parts(location: Path, report: Report, *, missing: bool) -> Iterator[str | int]:
    """The location without what pydantic adds to it: branches of unions, and marks such as `[key]`."""
    path: Path = ()
    for index, part in enumerate(location):
        if (*path, part) in report.places or (index == len(location) - 1 and missing):
            path = (*path, part)
            yield part


def _unknown_key(path: Path, model: type[BaseModel] | None) -> str:
    known = (*model.model_fields, *(f"{name}_file" for name in secret_fields(model))) if model else ()
    return "unknown key" + _guess(path[-1], known)


def _guess(given: Any, known: Iterable[str]) -> str:
    if not isinstance(given, str) or len(given) > _LONGEST_GUESS:
        return ""
    close = get_close_matches(given, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _is_ours(path: Path, models: dict[Path, type[BaseModel]]) -> bool:
    """Whether the innermost model around this value belongs to this package."""
    around = (models[path[:length]] for length in range(len(path), -1, -1) if path[:length] in models)
    return next(around).__module__.startswith("exporter.")


def _message(error: ErrorDetails, ours: bool) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"expected {_either(known)}{_guess(given, known)}"
    if kind == "string_type" and isinstance(given, int | float):
        return "expected text: put quotes around it"
    if kind in _KNOWN:
        words = _WORDS.get(kind, "not a valid value").format_map(context)
        return f"{words}; without the key its default holds" if given is None else words
    raised = str(context["error"]) if kind in _RAISED else error["msg"]
    return (raised if ours else _without(raised, given)).partition("\n")[0] or "not a valid value"


def _either(known: list[str]) -> str:
    return " or ".join((", ".join(known[:-1]), known[-1]) if len(known) > 1 else known)


def _without(raised: str, given: Any) -> str:
    """What a plugin's check says, which may quote what it was given."""
    for text in sorted(_texts(given), key=len, reverse=True):
        raised = raised.replace(text, "…")
    return raised


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str) and len(value) >= _SHORTEST_QUOTE:
        yield value
