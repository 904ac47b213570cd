"""The page as a whole: its size, and what must never be on it."""

from __future__ import annotations

import pytest

from tests.faults.scene import Scene
from tests.faults.surroundings import (
    plugins,
)

pytestmark = pytest.mark.slow


def test_CARD4_of_too_many_series_in_all_the_first_collectors_keep_theirs(scene: Scene) -> None:
    config = scene.config("first", "second", "third")
    config["limits"] = {"series_total": 3_000}
    scene.start(config)
    with scene.fault():
        scene.mood(first="many:1500", second="many:1500", third="many:1500")
        page = scene.page_with(lambda page: len(page.series("first_items")) == 1500, 5.0)
        assert page.own("snapshot_series") == 3_000
        assert 1_000 < len(page.series("second_items")) < 1_500
        assert not page.belonging_to("third")
        assert page.value("publishing_health_status", target="good") == 1
        assert page.own("samples_dropped_total", collector="third", reason="budget") >= 1_500
        assert page.own("collector_up", collector="third") == 1
        scene.mood()


TELLTALE = """
def act(self):
    if self.mood[0] == "tell":
        from exporter.model.errors import Failure
        raise Failure("https://user:password@host.invalid/?token=1", "what it was about")
"""


def test_CARD6_no_error_text_and_no_url_becomes_a_label(scene: Scene) -> None:
    scene.start(plugins(scene, {"telltale": TELLTALE}, "one"))
    with scene.fault({"telltale": ["internal"], "one": ["internal"]}):
        scene.mood(telltale="tell", one="raise:RuntimeError")
        page = scene.cycles(3)
        assert "host.invalid" not in page.text
        assert "://" not in "".join(line for line in page.text.splitlines() if not line.startswith("#"))
        scene.mood()
