"""The score and the signals as series."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exporter.collectors.parts import Parts
from exporter.collectors.score import Options, ScoreCollector, build
from exporter.engine.threads import DaemonPool
from exporter.model.metric import Key, Result
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.health import HealthDetail
from exporter.publishing.policy import AddressPolicy
from exporter.publishing.score import Basis
from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.upstream import UpstreamDetail
from exporter.publishing.verdict import HealthState
from exporter.sources.probe import Prober
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import ManualClock
from tests.publishing.services import WALL, health, jobs, replica, service


@pytest.fixture
def collector() -> ScoreCollector:
    clock = ManualClock()
    prober = Prober(DaemonPool("names", 1), AddressPolicy(), clock, TlsOptions())
    parts = Parts(clock=clock, prefix="alerts", tick=15.0, targets=TargetDirectory(), prober=prober)
    return build(Options(), parts)


def results(failed: float = 0.0) -> Mapping[str, Result]:
    targets = (health("ops"), health("call", HealthState.UNHEALTHY, enabled=True), health("idle"))
    upstream = service(replica(jobs(ops=(9, failed), stray=(1, 0)), at=WALL + failed))
    return {
        "health": Result((), HealthDetail(targets)),
        "queue": Result((), UpstreamDetail((upstream,))),
        "bridge": Result((), object()),
    }


def numbers(result: Result, name: str) -> dict[Key, float]:
    (found,) = [column for column in result.samples if column.family.name == f"alerts_{name}"]
    return {key: values[0] for key, values in found.rows()}


def test_series_and_detail_say_the_same(collector: ScoreCollector) -> None:
    result = collector.derive(results(failed=1.0))
    detail = result.detail
    assert isinstance(detail, ScoreDetail)
    assert numbers(result, "health_score") == {(): detail.score.score}
    assert numbers(result, "health_score_component") == {
        ("success",): pytest.approx(1000 / 11),
        ("availability",): pytest.approx(200 / 3),
    }
    assert detail.score.components["success"].basis is Basis.LIFETIME


def test_signals_and_deliveries_are_series_of_what_is_known(collector: ScoreCollector) -> None:
    collector.derive(results(failed=0.0))
    result = collector.derive(results(failed=2.0))
    signals = numbers(result, "target_signal")
    assert {signal: value for (target, signal), value in signals.items() if target == "ops"} == {
        "resolve": 1.0,
        "connect": 1.0,
        "tls": 1.0,
        "answer": 1.0,
        "publish": 0.0,
    }
    assert ("idle", "publish") not in signals
    assert numbers(result, "target_last_publish_timestamp_seconds") == {("ops", "failure"): WALL + 2.0}


def test_the_use_of_a_target_is_one_of_three(collector: ScoreCollector) -> None:
    found = numbers(collector.derive(results()), "target_use")
    current = {target: state for (target, state), value in found.items() if value == 1.0}
    assert current == {"ops": "used", "call": "unused", "idle": "unused", "stray": "unconfigured"}
    assert sum(found.values()) == 4.0
    assert len(found) == 12


def test_without_any_result_there_are_no_series(collector: ScoreCollector) -> None:
    assert [column.keys for column in collector.derive({}).samples] == [()] * 5


def test_what_is_gone_from_the_world_is_gone_from_the_series(collector: ScoreCollector) -> None:
    collector.derive(results())
    only = collector.derive({"health": Result((), HealthDetail((health("ops"),)))})
    assert {target for target, _ in numbers(only, "target_signal")} == {"ops"}
    assert numbers(only, "target_use") == {}
