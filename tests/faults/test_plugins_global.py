"""Plugins that reach for what belongs to the whole process."""

from __future__ import annotations

import signal

import pytest

from tests.faults.process import until
from tests.faults.scene import Scene
from tests.faults.surroundings import (
    ERRORS,
    plugins,
)

pytestmark = pytest.mark.slow


MEDDLER = """
def act(self):
    if self.mood[0] == "meddle":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        socket.setdefaulttimeout(0.0001)
        os.environ.clear()
        logging.getLogger().setLevel(logging.CRITICAL)
        logging.disable(logging.CRITICAL)
        logging.basicConfig(force=True)
        from prometheus_client import REGISTRY, Counter
        if not self.kept:
            self.kept.append(Counter("meddler_unwanted", "In the default registry."))
"""


def test_COL15_what_a_plugin_changes_of_the_process_is_taken_back_or_of_no_effect(scene: Scene) -> None:
    config = plugins(scene, {"meddler": MEDDLER}, "one")
    daemon = scene.start(config)
    with scene.fault({"one": ["internal"]}):
        scene.mood(meddler="meddle")
        scene.cycles(4)
        scene.mood(meddler="meddle", one="raise:RuntimeError")
        page = scene.page_with(lambda page: bool(page.total(ERRORS, collector="one")), 5.0)
        assert "unwanted" not in page.text
        assert page.value("publishing_health_status", target="good") == 1
        scene.mood()
        scene.cycles(2)
    assert len(daemon.log_lines("a plugin changed what belongs to the process")) <= 3
    daemon.send(signal.SIGHUP)
    until(lambda: bool(daemon.log_lines("configuration reloaded")), 3.0, "a hangup reloads")
    assert daemon.stop() == 0
