"""Label and field selectors, as the API takes them in a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
Matches = Callable[[Labels], bool]

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_SET = re.compile(rf"({_NAME})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_NAME})\s*(==|=|!=)\s*({_NAME}|)")
_EXISTS = re.compile(rf"(!?)\s*({_NAME})")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")
_FIELDS = {"metadata.name", "metadata.namespace", "type"}


class BadSelector(ValueError):
    """What was asked is not a selector."""


def label_selector(text: str) -> Matches:
    """Tells whether labels satisfy all requirements of the text; an empty text is satisfied by all."""
    requirements = [_requirement(part.strip()) for part in _parts(text)]
    return lambda labels: all(holds(labels) for holds in requirements)


def field_selector(text: str) -> Matches:
    """The same for the few fields by which the API can select Secrets."""
    requirements = []
    for part in _parts(text):
        found = _EQUAL.fullmatch(part.strip())
        if found is None or found[1] not in _FIELDS:
            raise BadSelector(f"field label not supported: {part}")
        requirements.append(_equal(*found.groups()))
    return lambda fields: all(holds(fields) for holds in requirements)


def _parts(text: str) -> list[str]:
    return _COMMA_OUTSIDE_PARENTHESES.split(text) if text.strip() else []


def _requirement(text: str) -> Matches:
    if found := _SET.fullmatch(text):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.fullmatch(text):
        return _equal(*found.groups())
    if found := _EXISTS.fullmatch(text):
        absent, key = bool(found[1]), found[2]
        return lambda labels: (key in labels) != absent
    raise BadSelector(f"unable to parse requirement: {text!r}")


def _equal(key: str, operator: str, value: str) -> Matches:
    # What has no such label is unequal to every value: so does the API.
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    return lambda labels: labels.get(key) == value
