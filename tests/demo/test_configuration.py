"""The demo's configuration, seen with the product's own eyes."""

from pathlib import Path
from typing import Any

import pytest

import exporter.demo
from exporter.collectors.health import Health, Options
from exporter.collectors.parts import Parts
from exporter.collectors.registry import Catalogue
from exporter.config.loader import Loaded, parse
from exporter.config.target_file import load_targets
from exporter.demo import configuration, receivers
from exporter.demo.configuration import Ports
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Run
from exporter.model.metric import Result
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.policy import AddressPolicy
from exporter.sources.alertmanager import fault_of
from exporter.sources.probe import Prober


def loaded(text: str) -> Loaded:
    return parse(text, "demo", Path("/"), Catalogue.of([]).options, {})


PORTS = Ports(rootly=1, slack=2, revoked=3, pagerduty=4, webhook=5, partner=6)


def written(folder: Path) -> str:
    configuration.write_files(PORTS, folder)
    return configuration.config_text(PORTS, folder)


def test_every_type_of_target_is_there_and_one_is_switched_off(tmp_path: Path) -> None:
    config = loaded(written(tmp_path)).config
    assert {target.type for target in config.targets.static} == {"rootly", "slack", "pagerduty", "webhook"}
    assert [target.name for target in config.targets.static if not target.enabled] == ["webhook-staging"]


async def test_the_publishing_service_is_watched_where_it_is() -> None:
    demo = await exporter.demo.start(publishing=False)
    [service] = loaded(demo.config_text).config.publishing_services
    await demo.stop()
    assert (service.name, service.dialect) == ("alert-history", "alert-history")
    assert demo.metrics_url in demo.config_text


def test_two_rounds_of_probes_fit_into_thirty_seconds(tmp_path: Path) -> None:
    config = loaded(written(tmp_path)).config
    assert config.cycle.interval + 2 * config.collectors.health.interval <= 30  # type: ignore[attr-defined]


def test_the_failing_receiver_fails_long_enough_to_be_found_unhealthy(tmp_path: Path) -> None:
    options = loaded(written(tmp_path)).config.collectors.health  # type: ignore[attr-defined]
    assert exporter.demo.SCHEDULE.fails > options.interval * options.unhealthy_after


def test_a_folder_with_odd_characters_does_not_break_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / '${HOME} "quoted" {0}: #ä' / "ca.pem"
    odd.parent.mkdir()
    odd.write_bytes(receivers.CA_FILE.read_bytes())
    monkeypatch.setattr(configuration, "CA_FILE", odd)
    config = loaded(written(tmp_path)).config
    assert config.collectors.health.tls.ca_file == odd  # type: ignore[attr-defined]


class Watch:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_the_health_collector_finds_each_target_in_its_promised_state(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    monkeypatch.setattr(receivers, "asyncio", watch)  # slow by this clock
    demo = await exporter.demo.start(watch.monotonic, publishing=False)
    config = loaded(demo.config_text).config
    # One at a time, so that the slow one is slow alone.
    options: Options = config.collectors.health.model_copy(update={"concurrency": 1})  # type: ignore[attr-defined]
    targets = TargetDirectory(document.to_target("static", "demo") for document in config.targets.static)
    prober = Prober(DaemonPool("dns", 2), AddressPolicy(), watch, options.tls.options())
    parts = Parts(clock=watch, prefix="publishing", tick=5.0, targets=targets, prober=prober)
    try:
        assert await states(Health(options, parts), watch) == {
            "rootly-incidents": ("healthy", None),
            "slack-oncall": ("degraded", None),
            "slack-old-team": ("degraded", "http_status"),
            "pagerduty-primary": ("healthy", None),
            "webhook-audit": ("healthy", None),
            "webhook-partner": ("healthy", None),
            "webhook-staging": ("unknown", None),
        }
        watch.now = 25.0
        assert (await states(Health(options, parts), watch))["pagerduty-primary"] == ("degraded", "http_status")
    finally:
        await prober.close()
        await demo.stop()


async def states(health: Health, watch: Watch) -> dict[str, tuple[str, Any]]:
    result = await health.collect(Run(1, watch.now + 60, watch.now))
    assert isinstance(result, Result)
    detail: Any = result.detail
    return {target.name: (target.state, target.last_reason) for target in detail.targets}


async def test_a_demo_that_cannot_start_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[receivers.Receivers] = []

    def no_certificate() -> None:
        raise OSError("no certificate")

    class Watched(receivers.Receivers):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

    monkeypatch.setattr(exporter.demo, "server_tls", no_certificate)
    monkeypatch.setattr(exporter.demo, "Receivers", Watched)
    with pytest.raises(OSError, match="no certificate"):
        await exporter.demo.start()
    assert vars(started[0])["_runners"] == []


def test_every_origin_that_needs_no_cluster_has_something_to_show(tmp_path: Path) -> None:
    targets = loaded(written(tmp_path)).config.targets
    assert [document.name for document in load_targets(Path(targets.files[0]), {}).documents.values()] == [
        "webhook-billing"
    ]
    assert [place.file and fault_of(Path(place.file)) for place in targets.alertmanager] == [""]


async def test_its_folder_goes_with_it() -> None:
    demo = await exporter.demo.start()
    assert sorted(file.name for file in demo.folder.iterdir()) == ["alertmanager.yml", "billing.yaml"]
    await demo.stop()
    assert not demo.folder.exists()
