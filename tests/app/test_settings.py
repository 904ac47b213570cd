"""Flags over file, and what a reload would change."""

from pathlib import Path

import pytest

from exporter.app.settings import Flags, differences, settle
from exporter.collectors.registry import Catalogue
from exporter.config.loader import ConfigError
from exporter.config.schema import Config
from exporter.model.secret import Secret

SECRET = "https://hooks.example.org/T0/canary"


def config(text: str, **flags: object) -> Config:
    return settle(Flags(config_text=text, **flags), {}).config  # type: ignore[arg-type]


def test_without_a_file_the_defaults_count() -> None:
    """Every collector that needs no configuration runs on the defaults."""
    settings = settle(Flags(), {})
    assert settings.config.web.listen_addresses == ("127.0.0.1:9847",)
    assert settings.watched == ()
    assert "health" in settings.catalogue.options


def test_a_file_is_watched_and_read(tmp_path: Path) -> None:
    """The configuration comes from the file that the flag names."""
    file = tmp_path / "exporter.yaml"
    file.write_text("log: {level: debug}")
    settings = settle(Flags(config_file=file), {})
    assert settings.config.log.level == "debug"
    assert settings.watched == (file,)


def test_a_flag_beats_the_file() -> None:
    """What both say is decided by the command line."""
    settled = config(
        "web: {listen_addresses: ['127.0.0.1:1'], telemetry_path: /a}\nlog: {level: debug}",
        listen_addresses=("127.0.0.1:2", "127.0.0.1:3"),
        telemetry_path="/b",
        enable_lifecycle=True,
        log_level="error",
        log_format="json",
    )
    assert settled.web.listen_addresses == ("127.0.0.1:2", "127.0.0.1:3")
    assert settled.web.telemetry_path == "/b"
    assert settled.web.enable_lifecycle
    assert (settled.log.level, settled.log.format) == ("error", "json")


def test_collectors_are_switched_by_flag() -> None:
    """A switch counts for one collector, the absence of defaults for all without a switch."""

    def on(**flags: object) -> bool:
        return bool(config("log: {level: info}", **flags).collectors.health.enabled)  # type: ignore[attr-defined]

    assert on()
    assert not on(collectors={"health": False})
    assert not on(disable_defaults=True)
    assert on(disable_defaults=True, collectors={"health": True})


def test_a_switch_for_no_collector_is_refused() -> None:
    """The message says which there are."""
    with pytest.raises(ConfigError) as caught:
        config("log: {level: info}", collectors={"helth": True})
    assert "health" in str(caught.value.problems[0])
    assert "--collector.helth" in str(caught.value.problems[0])


def test_differences_name_paths_and_no_values() -> None:
    """A changed secret is named by its place."""
    old = config(f"targets: {{static: [{{name: a, type: slack, url: '{SECRET}'}}]}}")
    new = config("targets: {static: []}\ncycle: {interval: 20s}")
    found = sorted(differences(old, new))
    assert found == ["cycle.interval", "targets.static"]
    assert not list(differences(old, old))


def test_equal_secrets_are_no_difference() -> None:
    """Reading the same file twice changes nothing."""
    text = f"targets: {{static: [{{name: a, type: slack, url: '{SECRET}', headers: {{X-Key: canary}}}}]}}"
    assert not list(differences(config(text), config(text)))


def test_the_catalogue_is_a_value() -> None:
    """Two catalogues of the same names hold the same collectors."""
    assert Catalogue.of(()).options == Catalogue.of(()).options


def test_the_flag_for_an_alertmanager_watches_it_without_a_file_too() -> None:
    """It takes the place of a service of its name, and shows nothing of the address."""
    settings = settle(Flags(alertmanager_url="http://am:9093/c4n4ry/"), {})
    (service,) = settings.config.publishing_services
    assert (service.name, service.dialect, service.url) == (
        "alertmanager",
        "alertmanager",
        Secret("http://am:9093/c4n4ry/metrics"),
    )
    assert set(settings.dialects) == {"alertmanager"}
    assert "c4n4ry" not in repr(settings.config)
    text = """
publishing_services:
  - {name: alertmanager, url: "http://other/metrics", dialect: vmalert}
  - {name: prom, url: "http://prom/metrics", dialect: prometheus}
"""
    both = settle(Flags(config_text=text, alertmanager_url="http://am:9093"), {})
    assert [(one.name, one.dialect) for one in both.config.publishing_services] == [
        ("prom", "prometheus"),
        ("alertmanager", "alertmanager"),
    ]
    assert set(both.dialects) == {"alertmanager", "prometheus", "vmalert"}


def test_a_mapping_file_is_watched_with_the_configuration(tmp_path: Path) -> None:
    """A change of it is a change of the configuration."""
    file, mapping = tmp_path / "exporter.yaml", tmp_path / "mailer.yaml"
    file.write_text("publishing_services: [{name: m, url: 'http://m/metrics', dialect: mailer.yaml}]")
    mapping.write_text("rules: [{family: queue_size, series: backlog}]")
    settings = settle(Flags(config_file=file), {})
    assert settings.watched == (file, mapping)
    assert [rule.series for rule in settings.dialects["mailer.yaml"].rules] == ["backlog"]
    mapping.write_text("rules: [{family: queue_sise, series: backlog}]")
    with pytest.raises(ConfigError) as caught:
        settle(Flags(config_file=file), {})
    assert [problem.file for problem in caught.value.problems] == [str(mapping)]
    assert set(caught.value.watched) == {file, mapping}
