"""From what history sums up to the few courses that trends are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan

from exporter.model.metric import Key
from exporter.publishing.deliveries import JOBS, REQUESTS, Ended, Names, Origin, Reading, ended
from exporter.publishing.latency import JOB_SECONDS, PUBLISHER_SECONDS, is_before
from exporter.publishing.past import Sum
from exporter.publishing.signals import NEVER, LastPublish
from exporter.publishing.trends import BASELINE, INTERVAL, NOTHING, RECENT, Material, Ratio

ATTEMPTS, QUEUE_SIZE = "publisher_attempts_total", "queue_size"

Found = Mapping[str, Sequence[tuple[Key, Sum]]]


def joined(day: Found, hour: Found, border: float) -> Found:
    """What is known of a day and of the hour after it, which begins at the border."""
    return {family: _joined(dict(day.get(family, ())), dict(hour[family]), int(border)) for family in hour}


def _joined(day: Mapping[Key, Sum], hour: Mapping[Key, Sum], border: int) -> list[tuple[Key, Sum]]:
    start = border - BASELINE * INTERVAL
    found = []
    for key in {**day, **hour}:
        before = day.get(key) or Sum.empty({}, start, INTERVAL, BASELINE)
        after = hour.get(key) or Sum.empty({}, border, INTERVAL, RECENT)
        columns = [
            first + second
            for first, second in (
                (before.total, after.total),
                (before.jump, after.jump),
                (before.coverage, after.coverage),
            )
        ]
        found.append((key, Sum(after.labels or before.labels, start, INTERVAL, *columns)))
    return found


def material(found: Found, names: Names) -> Material:
    """All courses; the sums are for the same intervals."""
    deliveries = _deliveries(found, names)
    proper = [one for one in deliveries if one.target != ""] or deliveries
    targets: dict[str, list[Ended[Sum]]] = {}
    for one in deliveries:
        if one.target:
            targets.setdefault(one.target, []).append(one)
    return Material(
        errors=_errors(proper),
        latency=_latency(found),
        depth=_together(course for _, course in found.get(QUEUE_SIZE, ())),
        targets={name: _errors(those) for name, those in targets.items()},
    )


def recent(found: Found, names: Names, now: float) -> dict[str, LastPublish]:
    """When each target was last published to, as exactly as intervals tell."""
    last: dict[str, LastPublish] = {}
    for one in _deliveries(found, names):
        at = next((at for at in reversed(range(len(one.value.total))) if one.value.total[at] > 0), None)
        if one.target and at is not None:
            ended_at = float(one.value.start + (at + 1) * one.value.step)
            known = last.get(one.target, NEVER)
            if one.succeeded:
                last[one.target] = replace(known, success=max(ended_at, known.success or 0.0))
            else:
                last[one.target] = replace(known, failure=max(ended_at, known.failure or 0.0))
    return {
        name: LastPublish(_before(one.success, now), _before(one.failure, now), _order(one))
        for name, one in last.items()
    }


def _before(at: float | None, now: float) -> float | None:
    """An interval may not be over yet."""
    return None if at is None else min(at, now)


def _order(last: LastPublish) -> bool | None:
    """Which of the two came later; within one interval nobody knows."""
    if last.success is None or last.failure is None:
        return last.success is not None
    return None if last.success == last.failure else last.success > last.failure


def _deliveries(found: Found, names: Names) -> list[Ended[Sum]]:
    readings = [Reading(family, key, course) for family in (JOBS, REQUESTS) for key, course in found.get(family, ())]
    return list(ended(readings, names))


def _errors(deliveries: Iterable[Ended[Sum]]) -> Ratio:
    all_of_them = list(deliveries)
    failed = _together(one.value for one in all_of_them if not one.succeeded)
    whole = _together(one.value for one in all_of_them)
    # Where nothing failed yet there is no series of failures.
    return Ratio(_filled(failed, whole), whole)


def _latency(found: Found) -> Ratio:
    """Of jobs, which are timed if they succeed; of services that have none the attempts of their publishers."""
    timed = found.get(JOB_SECONDS, ())
    jobs: set[Origin] = {(key[-2], key[-1]) for key, _ in timed}
    rest = [(key, course) for key, course in found.get(PUBLISHER_SECONDS, ()) if (key[-2], key[-1]) not in jobs]
    proper = [(key, course) for key, course in rest if not is_before(PUBLISHER_SECONDS, key)]
    rest = proper if proper or timed else rest
    origins = {(key[-2], key[-1]) for key, _ in rest}
    seconds = [course for _, course in (*timed, *rest)]
    number = [course for key, course in found.get(JOBS, ()) if (key[-2], key[-1]) in jobs and key[1] == "succeeded"]
    number += [course for key, course in found.get(ATTEMPTS, ()) if (key[-2], key[-1]) in origins]
    if not seconds or not number:
        return NOTHING
    whole = _together(number)
    return Ratio(_filled(_together(seconds), whole), whole)


def _together(courses: Iterable[Sum]) -> list[float]:
    """Interval by interval, not a number where none was watched; what rose in a gap belongs to no interval."""
    total: list[float] = []
    for course in courses:
        total = total or [nan] * len(course.total)
        for at, watched in enumerate(course.coverage):
            if watched:
                before = total[at]
                total[at] = course.total[at] + (0.0 if isnan(before) else before)
    return total


def _filled(part: Sequence[float], whole: Sequence[float]) -> list[float]:
    known = part or [nan] * len(whole)
    return [0.0 if isnan(number) and not isnan(size) else number for number, size in zip(known, whole, strict=True)]
