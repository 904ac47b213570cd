"""What is wrong with the families of a page, before a server complains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from exporter.model.metric import DISCOVERY_LABELS, Family, Kind, Samples

OWN_PREFIXES = ("publishing_", "service_usage_", "platform_exporter_")

_CAMEL = re.compile(r"[a-z][A-Z]")
_SUFFIXES = {"bucket": {Kind.HISTOGRAM}, "count": {Kind.HISTOGRAM, Kind.SUMMARY}, "sum": {Kind.HISTOGRAM, Kind.SUMMARY}}
_BASE_UNITS = {
    "seconds": {"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks"},
    "bytes": {"bits", "kilobytes", "megabytes", "gigabytes", "kibibytes", "gibibytes"},
    "celsius": {"fahrenheit"},
}
_ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}


def lint(samples: Iterable[Samples]) -> list[str]:
    """Complaints about the families of a page; empty if there is nothing to complain about."""
    found: list[str] = []
    seen: dict[str, Family] = {}
    for family in dict.fromkeys(_declaration(column.family) for column in samples):
        found += family.complaints()
        found += _naming(family)
        found += _own(family)
        found += _clashes(family, seen)
    return found


def _declaration(family: Family) -> Family:
    return replace(family, bounds=()) if family.open_bounds else family


def _naming(family: Family) -> Iterator[str]:
    words = family.base.split("_")
    if ":" in family.name:
        yield f"{family.name}: colons are for recording rules"
    if _CAMEL.search(family.name) or any(map(_CAMEL.search, family.labels)):
        yield f"{family.name}: names are written in snake_case"
    if family.kind not in _SUFFIXES.get(words[-1], {family.kind}):
        yield f"{family.name}: a {family.kind} must not end in _{words[-1]}"
    for base, others in _BASE_UNITS.items():
        for unit in sorted(others.intersection(words)):
            yield f"{family.name}: the base unit is {base}, not {unit}"
    for unit in sorted(_ABBREVIATED.intersection(words)):
        yield f"{family.name}: the unit {unit} is abbreviated"
    if family.kind in words:
        yield f"{family.name}: the type is no part of the name"
    if family.unit and not family.base.endswith("_" + family.unit):
        yield f"{family.name}: the name does not end in its unit {family.unit}"


def _own(family: Family) -> Iterator[str]:
    if family.name.startswith(OWN_PREFIXES):
        for label in sorted(DISCOVERY_LABELS.intersection(family.labels)):
            yield f"{family.name}: the label {label} belongs to service discovery"


def _clashes(family: Family, seen: dict[str, Family]) -> Iterator[str]:
    others = dict.fromkeys(seen[name].name for name in sorted(family.claims) if name in seen)
    for other in others:
        yield f"{family.name}: clashes with the names of {other}"
    seen.update(dict.fromkeys(family.claims, family))
