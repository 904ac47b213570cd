"""What a person on call wants to know first: is anything wrong, and what is the worst of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from exporter.model.reason import Outcome
from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.refresh import RefreshDetail
from exporter.publishing.signals import Signal
from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.verdict import HealthState

_NAMED = 3


class Level(IntEnum):
    """How bad something is: the worst first."""

    BAD = 0
    WARN = 1
    IDLE = 2
    OK = 3
    OFF = 4


_STATES = {
    HealthState.UNHEALTHY: Level.BAD,
    HealthState.DEGRADED: Level.WARN,
    HealthState.UNKNOWN: Level.IDLE,
    HealthState.HEALTHY: Level.OK,
}
_OUTCOMES = {
    Outcome.ERROR: Level.BAD,
    Outcome.TIMEOUT: Level.BAD,
    Outcome.BACKOFF: Level.WARN,
    Outcome.PARTIAL: Level.WARN,
    Outcome.NODATA: Level.IDLE,
    Outcome.OK: Level.OK,
    Outcome.DISABLED: Level.OFF,
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing to say, and how bad it is."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The headline, and what else there is to say, the worst first."""

    headline: Clause
    others: tuple[Clause, ...] = ()


def target_level(target: TargetHealth) -> Level:
    return _STATES[target.state] if target.enabled else Level.OFF


def record_level(record: Record) -> Level:
    return _OUTCOMES[record.outcome]


def targets_of(snapshot: Snapshot) -> tuple[TargetHealth, ...]:
    """Every target, the worst first."""
    detail = snapshot.details.get("health")
    targets = detail.targets if isinstance(detail, HealthDetail) else ()
    return tuple(sorted(targets, key=lambda target: (target_level(target), target.name)))


def refresh_of(snapshot: Snapshot) -> RefreshDetail | None:
    """How the sources of targets were last listed."""
    detail = snapshot.details.get("refresh")
    return detail if isinstance(detail, RefreshDetail) else None


def score_of(snapshot: Snapshot) -> ScoreDetail | None:
    """How publishing stands."""
    detail = snapshot.details.get("score")
    return detail if isinstance(detail, ScoreDetail) else None


def summarise(snapshot: Snapshot | None, targets: Sequence[TargetHealth], now: float) -> Summary:
    """What a snapshot says; `now` is monotonic."""
    if snapshot is None:
        return Summary(Clause(Level.IDLE, "Starting: no cycle has ended yet"))
    clauses = [
        *_about_cycles(snapshot, now),
        *_about_collectors(snapshot),
        *_about_targets(targets),
        *_about_deliveries(score_of(snapshot)),
        *_about_sources(refresh_of(snapshot)),
    ]
    wrong = sorted((clause for clause in clauses if clause.level < Level.OK), key=lambda clause: clause.level)
    if wrong:
        return Summary(wrong[0], (*wrong[1:], *(clause for clause in clauses if clause.level >= Level.OK)))
    fine = " · ".join(clause.text for clause in clauses)
    return Summary(Clause(Level.OK, fine) if fine else Clause(Level.IDLE, "No collector is enabled"))


def _about_cycles(snapshot: Snapshot, now: float) -> list[Clause]:
    if now < snapshot.expires:
        return []
    return [Clause(Level.BAD, "Cycles have stopped: everything below is old")]


def _about_collectors(snapshot: Snapshot) -> list[Clause]:
    ran = [record for record in snapshot.records.values() if record.outcome is not Outcome.DISABLED]
    if not ran:
        return []
    failed = [record for record in ran if not record.outcome.up]
    if not failed:
        return [Clause(Level.OK, "The collector is fine" if len(ran) == 1 else f"All {len(ran)} collectors fine")]
    level = min(map(record_level, failed))
    names = _names([f"{record.collector} ({record.reason or record.outcome})" for record in failed])
    return [Clause(level, f"{_share(len(failed), len(ran), 'collector')} failing: {names}")]


def _about_targets(targets: Sequence[TargetHealth]) -> list[Clause]:
    enabled = [target for target in targets if target.enabled]
    clauses = []
    for state in (HealthState.UNHEALTHY, HealthState.DEGRADED):
        named = [target.name for target in enabled if target.state is state]
        if named:
            text = f"{_share(len(named), len(enabled), 'target')} {state}: {_names(named)}"
            clauses.append(Clause(_STATES[state], text))
    unknown = sum(target.state is HealthState.UNKNOWN for target in enabled)
    if unknown:
        clauses.append(Clause(Level.IDLE, f"{_share(unknown, len(enabled), 'target')} unknown"))
    healthy = sum(target.state is HealthState.HEALTHY for target in enabled)
    if healthy:
        clauses.append(Clause(Level.OK, f"{_share(healthy, len(enabled), 'target')} healthy"))
    return clauses


def _about_deliveries(standing: ScoreDetail | None) -> list[Clause]:
    known = [target for target in standing.targets.values() if Signal.PUBLISH in target.signals] if standing else []
    failing = [target.name for target in known if not target.signals[Signal.PUBLISH]]
    if not failing:
        return []
    return [Clause(Level.BAD, f"Deliveries fail at {_share(len(failing), len(known), 'target')}: {_names(failing)}")]


def _about_sources(refresh: RefreshDetail | None) -> list[Clause]:
    if refresh is None:
        return []
    clauses = []
    failing = [f"{source.name} ({source.reason})" for source in refresh.sources if source.reason]
    if failing:
        text = f"{_share(len(failing), len(refresh.sources), 'source')} of targets failing: {_names(failing)}"
        clauses.append(Clause(Level.WARN, text))
    if count := len(refresh.invalid):
        clauses.append(Clause(Level.WARN, f"{count} document{'s' * (count != 1)} without a valid target"))
    return clauses


def _share(some: int, of: int, noun: str) -> str:
    return f"{some} of {of} {noun}{'s' * (of != 1)}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
