"""Clocks that jump, and a machine that is slow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.scene import Scene
from tests.faults.surroundings import (
    counted,
    plugins,
    turned,
)

pytestmark = pytest.mark.slow


def turned_by(page: Page, hours: int) -> bool:
    """Whether a cycle has begun by a clock that is wrong by so many hours."""
    return abs(page.own("collection_last_timestamp_seconds") - time.time() - hours * 3600) < 2.0


def test_PROC8_steps_of_the_wall_clock_move_stamps_and_nothing_else(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = turned(monkeypatch, scene)
    scene.start(scene.config("one"))
    with scene.fault(but_for=["X2"]):  # it compares the stamps with our own clock
        for hours in (2, -3, 24 * 365, 0):
            turn(hours * 3600)
            page = scene.page_with(lambda page, hours=hours: turned_by(page, hours), 8.0)  # type: ignore[misc]
            begin, began = counted(page), time.monotonic()
            time.sleep(2.0)
            page = scene.daemon.page()
            assert abs(counted(page) - begin - (time.monotonic() - began) / scene.interval) <= 1.5
            for stamp in ("collection_last_timestamp_seconds", "collector_last_success_timestamp_seconds"):
                labels = {"collector": "one"} if stamp.startswith("collector_") else {}
                assert abs(page.own(stamp, **labels) - time.time() - hours * 3600) < 2.0
            assert page.own("collector_up", collector="one") == 1


def test_PROC8_a_process_that_was_stopped_for_a_while_brings_no_burst(scene: Scene) -> None:
    daemon = scene.start(scene.config("one"))
    with scene.fault(but_for=["X1", "X2", "X3", "X4: others", "X7", "X9"]):
        begin = counted(scene.cycles(1))
        daemon.send(signal.SIGSTOP)
        time.sleep(6.0)
        daemon.send(signal.SIGCONT)
        time.sleep(2.0)
        assert counted(daemon.page()) - begin <= 7


BUSY = """
blocking = True
running = 0

def act(self):
    Mine.running += 1
    self.kept.append(Mine.running)
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass
    Mine.running -= 1
    return max(self.kept)
"""


@contextmanager
def burning(core: int) -> Iterator[None]:
    """Another process has this processor, but for about a tenth of it that is left to one that is nice."""
    command = ["taskset", "-c", str(core), "nice", "-n", "10", sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as burner:
        try:
            yield
        finally:
            burner.kill()


def test_PROC9_on_a_tenth_of_a_processor_cycles_stretch_and_none_overlap(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, core = sys.executable, min(os.sched_getaffinity(0))
    daemon = scene.start(plugins(scene, {"busy": BUSY}))
    allowed = ["X1", "X2", "X3", "X4", "X5", "X7", "X9"]
    with scene.fault({"busy": ["timeout", "overrun"]}, but_for=allowed):
        for task in Path(f"/proc/{daemon.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), 19)
            os.sched_setaffinity(int(task.name), {core})
        begin, began = counted(daemon.page()), time.monotonic()
        with burning(core):
            time.sleep(8.0)
            seconds = time.monotonic() - began
            page = Page(daemon.get("/metrics", timeout=30.0).text)
        assert counted(page) - begin <= seconds / scene.interval + 2
        assert page.own("collector_errors_total", collector="busy", reason="overrun")
        page = scene.page_with(lambda page: bool(page.own("collector_up", collector="busy")), 10.0)
        begin, began = counted(page), time.monotonic()
        time.sleep(2.0)
        page = scene.page_with(lambda page: bool(page.get("busy_value")), 5.0)
        assert counted(page) - begin <= (time.monotonic() - began) / scene.interval + 2
        assert page.value("busy_value") == 1
    assert sys.executable == plain
