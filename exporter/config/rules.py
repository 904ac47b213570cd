"""Rules between keys. They look at plain values, so that they are told together with mistakes elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.config.problems import Path, Report
from exporter.config.schema import CollectorOptions, Cycle, Refresh, Section
from exporter.config.types import format_duration, parse_duration


@dataclass(frozen=True, slots=True)
class _Limit:
    """A duration with the key it comes from."""

    path: Path
    seconds: float


def check(values: Mapping[str, Any], options: Mapping[str, type[CollectorOptions]], report: Report) -> None:
    """Reports values that are legal each by itself and not together."""
    interval, timeout = (
        _limit(values, ("cycle", key), Cycle, report) or _Limit(("cycle", key), math.nan)
        for key in ("interval", "timeout")
    )
    _fits(timeout, interval, timeout.path, report)
    _distinct(values, ("publishing_services",), "service", report)
    for name, kind in options.items():
        own_interval = _limit(values, ("collectors", name, "interval"), kind, report)
        own_timeout = _limit(values, ("collectors", name, "timeout"), kind, report)
        if own_interval or own_timeout:
            _fits(own_timeout or timeout, own_interval or interval, ("collectors", name, "timeout"), report)
    _distinct_targets(values, report)
    backoff, highest = (
        _limit(values, ("targets", "refresh", key), Refresh, report) or _Limit(("targets", "refresh", key), math.nan)
        for key in ("backoff", "backoff_max")
    )
    _fits(backoff, highest, backoff.path, report)


def _fits(timeout: _Limit, interval: _Limit, path: Path, report: Report) -> None:
    if timeout.seconds <= interval.seconds or math.isnan(timeout.seconds + interval.seconds):
        return
    subject = "" if timeout.path == path else f"{report.shown(timeout.path)}, which holds here, "
    if timeout.path not in report.places:
        subject = f"{subject or 'the default, '}{format_duration(timeout.seconds)}, "
    given = next((limit.path for limit in (timeout, interval) if limit.path in report.places), path)
    report.add(path, f"{subject}must not exceed {report.shown(interval.path)}", at=given)


def _limit(values: Mapping[str, Any], path: Path, model: type[Section], report: Report) -> _Limit | None:
    """The duration at this path, or its default; None is the cycle's.

    One that cannot be read is NaN: that is reported elsewhere.
    """
    default = model.model_fields[str(path[-1])].default
    value = _at(values, path, default)
    if report.is_broken(path):
        return _Limit(path, math.nan)
    if value is None:
        return None
    if value is default:
        return _Limit(path, default if isinstance(default, int | float) else math.nan)
    try:
        return _Limit(path, parse_duration(value) if isinstance(value, str) else math.nan)
    except ValueError:
        return _Limit(path, math.nan)


def _distinct_targets(values: Mapping[str, Any], report: Report) -> None:
    _distinct(values, ("targets", "static"), "target", report)


def _distinct(values: Mapping[str, Any], place: Path, what: str, report: Report) -> None:
    first: dict[str, int] = {}
    listed = _at(values, place)
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        name = _at(item, ("name",))
        if not isinstance(name, str):
            continue
        path: Path = (*place, index, "name")
        if name in first:
            report.add(path, f"the {what} of line {first[name]} has this name already")
        else:
            first[name] = report.line(path)


def _at(values: Any, path: Path, default: Any = None) -> Any:
    for part in path:
        if not isinstance(values, dict) or part not in values:
            return default
        values = values[part]
    return values
