"""Collectors that misbehave, each beside one that does not and the health of good targets."""

from __future__ import annotations

import time

import pytest

from tests.faults.page import Page
from tests.faults.process import until
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

RAISED = ("RuntimeError", "Uncommon", "SystemExit", "KeyboardInterrupt", "CancelledError", "GeneratorExit")


def test_COL1_whatever_one_raises_is_its_own_failure(scene: Scene) -> None:
    names = [f"{way}{at}" for way in ("plain", "later", "thread") for at in range(len(RAISED))]
    config = scene.config(*names, "bridge")
    for name in names:
        config["collectors"][name] = {"blocking": name.startswith("thread")}
    scene.start(config)
    moods = {name: ("raise_later:" if "later" in name else "raise:") + RAISED[int(name[-1])] for name in names}
    with scene.fault({name: ["internal"] for name in (*names, "bridge")}):
        scene.mood(**moods, bridge="raise:SystemExit")
        scene.cycles(4)
        scene.mood()


def test_COL1_what_a_task_of_its_own_raises_is_its_failure_too(scene: Scene) -> None:
    names = [f"tasked{at}" for at in range(len(RAISED))]
    scene.start(scene.config(*names))
    with scene.fault({name: ["internal"] for name in names}):
        scene.mood(**{name: f"raise_in_a_task:{raised}" for name, raised in zip(names, RAISED, strict=True)})
        scene.cycles(4)
        scene.mood()


def test_COL2_one_that_never_returns_is_cancelled_at_its_timeout(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault({"one": ["timeout"]}):
        scene.mood(one="never")
        scene.cycles(5)
        scene.mood()


def test_COL3_one_that_swallows_its_cancellation_is_not_started_again_until_it_ends(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault({"one": ["timeout", "overrun"]}):
        scene.mood(one="swallow")
        scene.page_with(lambda page: page.own("collector_errors_total", collector="one", reason="overrun") >= 1, 5.0)
        runs = scene.runs("one")
        page = scene.cycles(4)
        assert scene.runs("one") == runs
        assert page.own("abandoned_calls") == 1
        scene.mood()
    assert scene.runs("one") > runs
    assert scene.daemon.page().own("abandoned_calls") == 0


def test_COL4_fifty_blocked_threads_hold_up_neither_the_loop_nor_the_names_of_targets(scene: Scene) -> None:
    names = [f"blocker{at}" for at in range(50)]
    config = scene.config(*names, "bridge")
    config["collectors"].update({name: {"blocking": True} for name in names})
    config["targets"]["static"].append(
        {"name": "named", "type": "webhook", "url": scene.receiver.url(host="localhost")}
    )
    daemon = scene.start(config)
    threads = daemon.vitals().threads
    with scene.fault({name: ["timeout", "overrun"] for name in (*names, "bridge")}, but_for=["X6: threads", "X6: rss"]):
        scene.mood(**dict.fromkeys((*names, "bridge"), "block"))
        runs = {name: scene.runs(name) for name in names}
        begin = daemon.page().value("publishing_health_checks_total", target="named", outcome="success")
        # Names are remembered for ten seconds: by then one has to be resolved again.
        time.sleep(11.0)
        page = daemon.page()
        assert page.value("publishing_health_checks_total", target="named", outcome="success") >= begin + 15
        assert page.value("publishing_health_checks_total", target="named", outcome="failure") == 0
        assert page.value("publishing_health_status", target="named") == 1
        assert daemon.vitals().threads <= threads + len(names) + 2
        assert all(scene.runs(name) <= runs[name] + 1 for name in names)
        scene.mood()


def test_COL5_a_blocked_loop_shows_in_the_lag_and_its_place_in_the_log_once(scene: Scene) -> None:
    daemon = scene.start(scene.config("one"))
    # Nothing at all happens while the loop stands still, and whoever was under way is late.
    with scene.fault(but_for=["X1", "X2", "X4: others", "X7", "X9"]) as seen:
        scene.mood(one="block_once:3")
        until(lambda: bool(daemon.log_lines("event loop is stuck", start=seen.log_start)), 5.0, "the log tells")
        page = scene.page_with(lambda page: page.own("collector_up", collector="one") == 0, 5.0)
        assert page.own("collector_errors_total", collector="one", reason="timeout") == 1
        page = scene.cycles(2)
        assert lags(page, 2.5) - lags(seen.before, 2.5) == 1
        assert lags(page, 5.0) - lags(seen.before, 5.0) == 0
        answers = daemon.get("/-/healthy"), daemon.get("/-/ready")
    assert [answer.status for answer in answers] == [200, 200]
    assert seen.ups[-1] == 1.0
    (line,) = daemon.log_lines("event loop is stuck", start=seen.log_start)
    assert "level=warn" in line
    assert "hostile.py" in line
    assert "_block_once" in line


def lags(page: Page, above: float) -> float:
    """How often the loop was later than this."""
    return page.own("event_loop_lag_seconds_count") - page.own("event_loop_lag_seconds_bucket", le=str(above))


def test_COL6_a_late_result_never_reaches_the_page(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault({"one": ["timeout", "overrun"]}) as seen:
        scene.mood(one="late:0.6")
        scene.cycles(6)
        scene.mood()
        scene.page_with(lambda page: bool(page.own("collector_up", collector="one")), 3.0)
    assert not [scrape for scrape in seen.sampler.scrapes if 'item="late"' in scrape.page.text]


def test_COL12_an_empty_result_is_no_failure(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault():
        scene.mood(one="empty")
        page = scene.page_with(lambda page: not page.belonging_to("one"), 3.0)
        assert page.own("collector_up", collector="one") == 1
        assert page.own("collector_samples", collector="one") == 0
        assert page.total("platform_exporter_collector_errors_total", collector="one") == 0
        ok = page.own("collector_outcomes_total", collector="one", outcome="ok")
        page = scene.cycles(3)
        assert page.own("collector_outcomes_total", collector="one", outcome="ok") >= ok + 3
        scene.mood()
        scene.page_with(lambda page: bool(page.belonging_to("one")), 3.0)
