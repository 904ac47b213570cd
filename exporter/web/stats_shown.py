"""What is told of targets, together and one by one: the types of the answers, and how they are filled."""

from __future__ import annotations

from datetime import datetime

import msgspec

from exporter.publishing.deliveries import Tally
from exporter.publishing.signals import LastPublish, Signal
from exporter.publishing.statistics import System, TargetStanding
from exporter.publishing.verdict import HealthState
from exporter.web.contents import instant


class JobsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that ended; no percentage where there are none."""

    total_processed: float
    succeeded: float
    failed: float
    success_rate_percent: float | None


class SystemShown(msgspec.Struct, frozen=True, kw_only=True):
    """Everything together, whatever the list is filtered by. The states count targets that are switched on."""

    total_targets: int
    healthy_targets: int
    degraded_targets: int
    unhealthy_targets: int
    unknown_targets: int
    disabled_targets: int
    success_rate_percent: float | None
    queue_size: float | None
    queue_capacity: float | None
    jobs: JobsShown


class GroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of one type, of one state, or one target."""

    group: str
    total_targets: int
    healthy_targets: int
    degraded_targets: int
    unhealthy_targets: int
    unknown_targets: int
    jobs: JobsShown


class HealthShown(msgspec.Struct, frozen=True, kw_only=True):
    """What probes say."""

    status: str
    success_rate_percent: float | None
    consecutive_failures: int | None
    last_check: datetime | None


class SignalsShown(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a delivery; null where it is not known whether they work."""

    resolve: bool | None
    connect: bool | None
    tls: bool | None
    answer: bool | None
    publish: bool | None


class LastPublishShown(msgspec.Struct, frozen=True, kw_only=True):
    success: datetime | None
    failure: datetime | None


class TargetStats(msgspec.Struct, frozen=True, kw_only=True):
    """One target. One that is published to without being configured here has no type."""

    target_name: str
    target_type: str | None
    enabled: bool | None
    origin: str | None
    use: str | None
    health: HealthShown
    signals: SignalsShown
    last_publish: LastPublishShown
    jobs: JobsShown
    jobs_last_hour: JobsShown | None


def system_shown(system: System) -> SystemShown:
    """All of them."""
    states = system.states
    return SystemShown(
        total_targets=system.targets,
        healthy_targets=states.get(HealthState.HEALTHY, 0),
        degraded_targets=states.get(HealthState.DEGRADED, 0),
        unhealthy_targets=states.get(HealthState.UNHEALTHY, 0),
        unknown_targets=states.get(HealthState.UNKNOWN, 0),
        disabled_targets=system.disabled,
        success_rate_percent=system.success_percent,
        queue_size=system.queue_size,
        queue_capacity=system.queue_capacity,
        jobs=jobs_shown(system.jobs),
    )


def group_shown(name: str, members: list[TargetStanding]) -> GroupShown:
    """Some of them."""
    jobs = [one.jobs for one in members]
    states = [one.state for one in members]
    return GroupShown(
        group=name,
        total_targets=len(members),
        healthy_targets=states.count(HealthState.HEALTHY),
        degraded_targets=states.count(HealthState.DEGRADED),
        unhealthy_targets=states.count(HealthState.UNHEALTHY),
        unknown_targets=states.count(HealthState.UNKNOWN),
        jobs=jobs_shown(Tally(sum(one.succeeded for one in jobs), sum(one.failed for one in jobs))),
    )


def jobs_shown(tally: Tally) -> JobsShown:
    """What became of deliveries."""
    return JobsShown(
        total_processed=tally.finished,
        succeeded=tally.succeeded,
        failed=tally.failed,
        success_rate_percent=tally.percent,
    )


def target_shown(target: TargetStanding) -> TargetStats:
    """All that is known of one, but for its samples."""
    health = target.health
    return TargetStats(
        target_name=target.name,
        target_type=target.type,
        enabled=target.enabled,
        origin=target.origin,
        use=target.use,
        health=HealthShown(
            status=target.state,
            success_rate_percent=health.success_rate if health else None,
            consecutive_failures=health.consecutive_failures if health else None,
            last_check=instant(health.last_probe) if health else None,
        ),
        signals=SignalsShown(**{signal.value: target.signals.get(signal) for signal in Signal}),
        last_publish=_last_shown(target.last),
        jobs=jobs_shown(target.jobs),
        jobs_last_hour=None if target.hour is None else jobs_shown(target.hour),
    )


def _last_shown(last: LastPublish) -> LastPublishShown:
    return LastPublishShown(success=instant(last.success), failure=instant(last.failure))
