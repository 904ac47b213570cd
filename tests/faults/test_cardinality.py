"""Too much of everything: series, label values, labels, label names."""

from __future__ import annotations

import pytest

from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

BUDGET = 10_000
DROPPED = "platform_exporter_samples_dropped_total"


def test_CARD1_of_a_million_series_the_first_that_fit_are_shown_and_the_rest_counted(scene: Scene) -> None:
    config = scene.config("one", "after")
    config["collectors"]["one"] = {"blocking": True, "timeout": "500ms"}
    config["limits"] = {"series_per_collector": BUDGET}
    scene.start(config)
    scene.mood(one="many:1000000")
    scene.page_with(lambda page: 'item="9999"' in page.text, 20.0, "the plugin has made them")
    scene.mood()
    scene.page_with(lambda page: 'item="9999"' not in page.text, 5.0)
    with scene.fault(but_for=["X6: rss"]):
        scene.mood(one="many:1000000")
        scene.page_with(lambda page: 'item="9999"' in page.text, 10.0)
        page = scene.cycles(3)
        assert len(page.series("one_items")) == BUDGET
        assert page.own("collector_samples", collector="one") == BUDGET
        assert page.own("samples_dropped_total", collector="one", reason="budget") % (1_000_000 - BUDGET) == 0
        assert page.belonging_to("after")
        assert page.own("collector_up", collector="one") == 1
        scene.mood()
        scene.page_with(lambda page: 'item="9999"' not in page.text, 5.0)


def test_CARD1_a_collector_of_another_library_is_stopped_at_its_deadline(scene: Scene) -> None:
    config = scene.config("bridge")
    config["limits"] = {"series_per_collector": BUDGET}
    scene.start(config)
    with scene.fault({"bridge": ["timeout", "overrun"]}, but_for=["X6: rss"]):
        scene.mood(bridge="many:1000000")
        scene.page_with(
            lambda page: page.own("collector_errors_total", collector="bridge", reason="overrun") >= 3, 20.0
        )
        scene.mood()
        scene.page_with(lambda page: bool(page.own("collector_up", collector="bridge")), 20.0)


def test_CARD2_new_label_values_in_every_cycle_do_not_pile_up(scene: Scene) -> None:
    config = scene.config("one", "bridge")
    config["cycle"] = {"interval": "20ms", "timeout": "20ms"}
    config["collectors"]["bridge"] = {"interval": "500ms", "timeout": "400ms"}
    scene.start(config)
    # At this pace any hiccup of the machine makes a collector late.
    with scene.fault(but_for=["X4: others"]):
        scene.mood(one="random:100")
        page = scene.cycles(200)
        series = page.own("snapshot_series")
        rss = scene.daemon.vitals().rss
        page = scene.page_with(lambda p: p.own("collection_duration_seconds_count") >= 1_200, 60.0)
        assert len(page.series("one_items")) == 100
        assert page.own("snapshot_series") == series
        assert scene.daemon.vitals().rss <= rss * 1.05 + 2
        scene.mood()
        scene.page_with(lambda page: bool(page.get("one_events_total")), 3.0)


def test_CARD3_a_huge_label_value_is_dropped_and_counted(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault(but_for=["X6: rss"]):
        scene.mood(one="huge")
        page = scene.page_with(lambda p: p.own("samples_dropped_total", collector="one", reason="label") >= 3, 5.0)
        assert len(page.series("one_items")) == 1
        assert len(page.text) < 100_000
        scene.mood()


def test_CARD3_five_hundred_labels_and_ten_thousand_label_names_keep_the_page_small(scene: Scene) -> None:
    config = scene.config("one", "bridge")
    config["collectors"]["bridge"] = {"interval": "1s", "timeout": "900ms"}
    scene.start(config)
    # Names that have been checked are remembered, up to a bound.
    with scene.fault(but_for=["X6: rss"]):
        scene.mood(one="wide", bridge="names:10000")
        page = scene.page_with(lambda p: p.total(DROPPED, collector="bridge") >= 9_000, 5.0)
        page = scene.cycles(2)
        assert len(page.series("one_wide")) <= 1
        assert len(page.series("bridge_items")) <= 64
        assert len(page.text) < 200_000
        assert page.own("collector_up", collector="one") == 1
        scene.mood()
