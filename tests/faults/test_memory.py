"""Memory that runs short, and who has to wait."""

from __future__ import annotations

import pytest

from tests.faults.scene import Scene
from tests.faults.surroundings import (
    limited,
    plugins,
    under,
)

pytestmark = pytest.mark.slow


MIB = 1 << 20


HOG = """
kept = []  # of the class: each reload makes an object and drops it again
holding = None

def __init__(self):
    if not Mine.holding:
        Mine.holding = threading.Thread(target=self.hold, daemon=True)
        Mine.holding.start()

def hold(self):
    while True:
        mood, _, amount = self.mood
        if mood == "hold" and not self.kept:
            self.kept.append(mmap.mmap(-1, int(amount) << 20))
        elif mood == "well":
            self.kept.clear()
        time.sleep(0.05)

def act(self):
    mood, _, amount = self.mood
    if mood == "leak":
        self.kept.append(mmap.mmap(-1, int(amount) << 20))
    elif mood == "eat":
        bytearray(int(amount) << 20)
"""


def test_PROC6_above_the_soft_limit_the_greatest_and_parts_of_the_page_have_to_wait(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(monkeypatch, scene, f"prlimit --as={4096 * MIB}")
    config = plugins(scene, {"hog": HOG}, "big", "small")
    scene.mood(big="many:5000")
    daemon = scene.start(config)
    assert scene.cycles(1).value("platform_exporter_memory_soft_limit_bytes") == int(4096 * MIB * 0.8)
    with scene.fault({"big": ["limit"]}) as seen:
        scene.mood(big="many:5000", hog="hold:3000")
        page = scene.page_with(lambda page: limited(page, "big") >= 3, 10.0)
        assert page.own("memory_short") == 1
        assert page.belonging_to("small")
        answer = daemon.get("/metrics?collect[]=health")
        assert (answer.status, "short_of_memory" in answer.text) == (503, True)
        scene.mood(big="many:5000")
        page = scene.page_with(lambda page: len(page.series("big_items")) == 5000, 5.0)
        scene.page_with(lambda page: not page.own("memory_short"), 5.0)
        assert daemon.get("/metrics?collect[]=health").status == 200
    assert len(daemon.log_lines('msg="memory is short', start=seen.log_start)) == 1
    assert len(daemon.log_lines("memory is no longer short", start=seen.log_start)) == 1


def test_PROC6_a_collector_that_finds_no_memory_fails_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, scene, f"prlimit --as={4096 * MIB}")
    scene.start(plugins(scene, {"hog": HOG}))
    with scene.fault({"hog": ["limit"]}):
        scene.mood(hog="eat:8192")
        scene.page_with(lambda page: limited(page, "hog") >= 3, 5.0)
        scene.mood()
    assert scene.daemon.log_lines("collector failed", "collector=hog", "out of memory")


def test_COL16_a_collector_that_leaks_is_named_and_has_to_wait(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, scene, f"prlimit --as={2048 * MIB}")
    daemon = scene.start(plugins(scene, {"hog": HOG}, "one"))
    with scene.fault({"hog": ["limit"]}):
        scene.mood(hog="leak:60")
        page = scene.page_with(lambda page: limited(page, "hog") >= 3, 30.0)
        assert page.belonging_to("one")
        size = page.value("process_virtual_memory_bytes")
        assert scene.cycles(4).value("process_virtual_memory_bytes") < size + 30 * MIB
        scene.mood()
    (line,) = daemon.log_lines('msg="memory is short')
    assert "grown_most=hog" in line
