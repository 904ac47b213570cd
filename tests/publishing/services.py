"""What watched services say, made by hand."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.model.metric import Key
from exporter.model.reason import Reason
from exporter.publishing.dialects.translate import Rows
from exporter.publishing.health import TargetHealth
from exporter.publishing.upstream import ReplicaState, UpstreamState
from exporter.publishing.verdict import HealthState

WALL = 1_780_000_000.0


def rows(
    family: str, numbers: Mapping[Key, tuple[float, ...] | float], bounds: tuple[float, ...] = (), replica: str = "a:1"
) -> Rows:
    """Rows of one replica of the service `history`, or of the service named with the replica as `service/replica`."""
    upstream, _, name = replica.rpartition("/")
    origin = (upstream or "history", name)
    values = [number if isinstance(number, tuple) else (number,) for number in numbers.values()]
    return Rows(
        family, bounds, tuple((*key, *origin) for key in numbers), tuple(one for many in values for one in many)
    )


def jobs(replica: str = "a:1", /, **targets: tuple[float, float]) -> Rows:
    """Succeeded and failed jobs of targets, whose names have `_` for `-`."""
    counted: dict[Key, tuple[float, ...] | float] = {}
    for name, (succeeded, failed) in targets.items():
        counted[name.replace("_", "-"), "succeeded"] = succeeded
        counted[name.replace("_", "-"), "failed"] = failed
    return rows("jobs_processed_total", counted, replica=replica)


def replica(*found: Rows, name: str = "a:1", at: float = WALL, reason: Reason | None = None) -> ReplicaState:
    return ReplicaState(replica=name, at=at, duration=0.01, reason=reason, rows=found)


def service(
    *replicas: ReplicaState, name: str = "history", dialect: str = "alert-history", **target_map: str
) -> UpstreamState:
    return UpstreamState(upstream=name, dialect=dialect, replicas=replicas, target_map=target_map)


def health(name: str, state: HealthState = HealthState.HEALTHY, **more: object) -> TargetHealth:
    usual: dict[str, object] = {
        "type": "slack",
        "shown": "https://hooks.example.org",
        "enabled": True,
        "origin": "static",
        "last_probe": WALL - 10.0,
        "success_rate": 100.0,
    }
    return TargetHealth(name=name, state=state, **{**usual, **more})  # type: ignore[arg-type]
