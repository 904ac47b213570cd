"""Collectors whose samples are not fit for a page: what is wrong with one costs nothing else."""

from __future__ import annotations

import math

import pytest

from tests.faults.hostile import BAD_LABELS, BAD_VALUES, GOOD_LABELS, GOOD_VALUES
from tests.faults.page import Page
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow


def per_run(before: Page, after: Page, collector: str, reason: str) -> float:
    """How many samples were dropped in each run between two pages."""

    def dropped(page: Page) -> float:
        return page.own("samples_dropped_total", collector=collector, reason=reason)

    def runs(page: Page) -> float:
        return page.own("collector_duration_seconds_count", collector=collector)

    return (dropped(after) - dropped(before)) / (runs(after) - runs(before))


def begun(scene: Scene, sign: str) -> Page:
    """The first page that shows what the fault brings."""
    return scene.page_with(lambda page: sign in page.text, 15.0, sign)


def gone(scene: Scene, sign: str) -> None:
    scene.page_with(lambda page: sign not in page.text, 3.0, f"no {sign}")


def test_COL7_numbers_pass_and_what_is_none_is_dropped_and_counted(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault():
        scene.mood(one="values")
        before = begun(scene, "good-0")
        after = scene.cycles(3)
        assert per_run(before, after, "one", "value") == len(BAD_VALUES)
        assert after.own("collector_up", collector="one") == 1
        shown = {dict(labels)["item"]: value for labels, value in after.series("one_items").items()}
        scene.mood()
        gone(scene, "good-0")
    expected = {f"good-{at}": float(value) for at, value in enumerate(GOOD_VALUES)}
    assert shown.keys() == expected.keys()
    for item, value in expected.items():
        assert shown[item] == value or (math.isnan(shown[item]) and math.isnan(value))
        assert math.copysign(1, shown[item]) == math.copysign(1, value)


def test_COL8_text_passes_escaped_and_what_cannot_be_encoded_is_dropped_and_counted(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault():
        scene.mood(one="labels")
        before = begun(scene, 'item="42"')
        after = scene.cycles(3)
        assert per_run(before, after, "one", "label") == len(BAD_LABELS) + 4
        assert after.own("collector_up", collector="one") == 1
        scene.mood()
        gone(scene, 'item="42"')
    escaped = [label.decode() if isinstance(label, bytes) else str(label) for label in GOOD_LABELS]
    for label in escaped:
        written = label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        assert f'one_items{{item="{written}"}} 1' in after.text
    assert len(after.series("one_items")) == len(GOOD_LABELS)


def test_COL9_of_two_equal_series_the_first_in_the_configuration_wins(scene: Scene) -> None:
    scene.start(scene.config("twin_2", "twin_1"))
    with scene.fault():
        before = scene.cycles(1)
        after = scene.cycles(4)
        assert per_run(before, after, "twin_1", "duplicate") == 1
        assert per_run(before, after, "twin_2", "duplicate") == 0
    assert after.value("twin_shared", item="same") == 2
    assert after.value("twin_shared", item="twin_1") == 1
    assert after.text.count("# TYPE twin_shared ") == 1


@pytest.mark.parametrize("what", ["type", "help"])
def test_COL10_of_two_families_with_one_name_the_second_is_dropped(scene: Scene, what: str) -> None:
    scene.start(scene.config("bridge_one", "bridge_two"))
    with scene.fault():
        scene.mood(bridge_two=f"other:{what}")
        runs = scene.runs("bridge_two")
        scene.page_with(lambda page: scene.runs("bridge_two") > runs + 1, 3.0)
        before = scene.cycles(1)
        after = scene.cycles(3)
        assert per_run(before, after, "bridge_two", "family") == 1
        assert per_run(before, after, "bridge_one", "family") == 0
        assert after.own("collector_up", collector="bridge_two") == 1
        scene.mood()
    assert after.value("bridge_one_items", item="item-0") == 1
    assert after.text.count("# TYPE bridge_one_items ") == 1
    assert 'item="other"' not in after.text
    assert after.value("bridge_two_items", item="item-0") == 1


def test_COL11_a_counter_that_goes_down_is_shown_as_it_is(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault():
        for number in (1000, 3, 3.5, 0):
            scene.mood(one=f"counter:{number}")
            scene.page_with(lambda page, number=number: page.get("one_events_total") == number, 3.0)  # type: ignore[misc]
        page = scene.daemon.page()
        assert page.own("collector_up", collector="one") == 1
        assert page.total("platform_exporter_samples_dropped_total", collector="one") == 0
        scene.mood()


def test_COL13_what_is_gone_from_the_world_is_gone_from_the_next_page(scene: Scene) -> None:
    config = scene.config("one")
    daemon = scene.start(config)
    with scene.fault():
        scene.mood(one="many:3")
        page = begun(scene, 'item="2"')
        assert len(page.series("one_items")) == 3
        scene.mood(one="many:1")
        page = scene.page_with(lambda page: 'item="2"' not in page.text, 3.0)
        assert len(page.series("one_items")) == 1
        assert 'target="varied"' in page.text
        varied = config["targets"]["static"].pop()
        scene.write(config)
        assert daemon.reload().status == 200
        assert 'target="varied"' not in scene.cycles(1).text
        assert daemon.page().value("publishing_health_status", target="good") == 1
        config["targets"]["static"].append(varied)
        scene.write(config)
        assert daemon.reload().status == 200
        scene.mood()
        page = scene.page_with(lambda page: bool(page.get("publishing_health_status", target="varied")), 3.0)
        assert page.value("publishing_health_checks_total", target="varied", outcome="success") <= 3
