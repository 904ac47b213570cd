"""Plugins that cannot be loaded, or misbehave when they are."""

from __future__ import annotations

import time

import pytest

from tests.faults.canary import CANARIES
from tests.faults.page import Page
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

SECRET = CANARIES["exception"]
COLLECTOR = """
from exporter.config.schema import CollectorOptions as Options
from exporter.model.metric import Result
class Collector:
    families = ()
    def __init__(self, name): self.name = name
    def collect(self, run): return Result()
"""
BROKEN = {
    "raises": f"raise RuntimeError('{SECRET}')",
    "unparsable": f"def '{SECRET}'",
    "missing": f"import a_package_that_is_missing_{SECRET}",
    "exits": f"import sys; sys.exit('{SECRET}')",
    "interrupts": "raise KeyboardInterrupt",
    "nothing": "",
    "builds_nothing": COLLECTOR + f"def build(options, parts): raise ValueError('{SECRET}')",
    "exits_late": COLLECTOR + f"def build(options, parts): raise SystemExit('{SECRET}')",
    "misnamed": COLLECTOR + "def build(options, parts): return Collector('health')",
}
NOISY = {
    "writes": "print('on stdout'); import os; os.write(1, b'on stdout')",
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "children": "import subprocess; subprocess.Popen(['sleep', '600'])",
}


def install(scene: Scene, modules: dict[str, str], *more: str) -> list[str]:
    """Writes these modules and offers them, beside the ones that behave."""
    for name, source in modules.items():
        (scene.site / f"plugin_{name}.py").write_text(source)
    scene.offer({name: f"plugin_{name}" for name in modules} | {name: f"hostile:{name}" for name in ("well", *more)})
    return ["well", *modules, *more]


def others_work(page: Page, *names: str) -> None:
    for name in ("health", "well", *names):
        assert page.own("collector_up", collector=name) == 1
    assert page.value("publishing_health_status", target="good") == 1


def test_COL14_a_plugin_that_cannot_be_loaded_is_off_alone_and_listed_with_its_reason(scene: Scene) -> None:
    config = scene.config()
    config["plugins"] = [*install(scene, BROKEN, "one"), "not_installed"]
    config["collectors"]["raises"] = {"some": {"key": "that nobody can judge"}}
    daemon = scene.start(config)
    with scene.fault():
        page = scene.cycles(3)
        status = daemon.get("/").text
        others_work(page, "one")
        for name in (*BROKEN, "not_installed"):
            reason = "config" if name in ("nothing", "not_installed") else "internal"
            assert page.get("platform_exporter_collector_up", collector=name) == 0
            assert page.own("collector_errors_total", collector=name, reason=reason) == 1
            assert page.own("collector_outcomes_total", collector=name, outcome="error") == 1
            assert name in status
            assert len(daemon.log_lines("collector failed", f"collector={name} ", f"reason={reason}")) == 1


def test_COL14_a_plugin_with_the_name_of_a_built_in_collector_does_not_touch_it(scene: Scene) -> None:
    config = scene.config()
    scene.offer({"well": "hostile:well", "health": "hostile:health"})
    config["plugins"] = ["well", "health"]
    daemon = scene.start(config)
    with scene.fault():
        page = scene.cycles(3)
        others_work(page)
        assert not page.series("health_items")
        assert page.own("collector_outcomes_total", collector="health", outcome="ok") >= 3
        # Its own records stay those of the built-in one, here and on the page for people.
        event = daemon.first_event()
        assert b'"failed":0' in event
        # Nor is it gone with the plugin.
        scene.write(scene.config())
        assert daemon.reload().status == 200
        others_work(scene.cycles(2))
    lines = daemon.log_lines("a built-in collector has this name")
    assert len(lines) == 1, lines
    line = lines[0]
    assert "level=warn" in line
    assert "plugin=health" in line


def test_COL14_a_plugin_that_writes_and_starts_threads_and_processes_disturbs_nothing(scene: Scene) -> None:
    modules = {name: source + COLLECTOR for name, source in NOISY.items()}
    for name in modules:
        modules[name] += f"def build(options, parts): return Collector('{name}')"
    config = scene.config()
    config["plugins"] = install(scene, modules)
    daemon = scene.start(config)
    with scene.fault():
        others_work(scene.cycles(3), *NOISY)
    assert daemon.stdout.read_bytes() == b""
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5
