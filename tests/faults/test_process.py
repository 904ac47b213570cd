"""What the system does to a process: signals, descriptors that run out, streams that nobody reads."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Scene
from tests.faults.surroundings import (
    limited,
    lost,
    plugins,
    ready,
    start_unheard,
    under,
)

pytestmark = pytest.mark.slow


def test_PROC2_stray_signals_do_nothing(scene: Scene) -> None:
    daemon = scene.start(scene.config("one"))
    with scene.fault():
        for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD, signal.SIGURG):
            daemon.send(number)
            assert scene.cycles(1).belonging_to("one")


def test_PROC2_an_interrupt_is_a_stop(alone: Scene) -> None:
    daemon = alone.start(alone.config())
    daemon.send(signal.SIGINT)
    assert daemon.ended(5.0) == 0
    assert daemon.log_lines("msg=stopping")


def test_PROC2_a_quit_ends_it_as_it_is_and_leaves_no_memory_on_disk(alone: Scene) -> None:
    daemon = alone.start(alone.config())
    assert "Max core file size        0 " in Path(f"/proc/{daemon.pid}/limits").read_text()
    daemon.send(signal.SIGQUIT)
    assert daemon.ended(2.0) == -signal.SIGQUIT
    assert list(daemon.folder.iterdir()) == []


HOARDER = """
def act(self):
    # Not by the control file: that would have to be opened.
    if not os.path.exists(os.environ["HOSTILE_CONTROL"] + ".hoard"):
        while self.kept:
            os.close(self.kept.pop())
        return 0
    while True:
        self.kept.append(os.open("/dev/null", os.O_RDONLY))
"""
OPENER = """
def act(self):
    with open("/dev/null"):
        return 1
"""


class Line:
    """A connection that was there before."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)

    def ask(self, method: str, path: str) -> tuple[int, str]:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def page_with(self, condition: Callable[[Page], bool], seconds: float) -> Page:
        pages: list[Page] = []

        def as_wanted() -> bool:
            pages[:] = [Page(self.ask("GET", "/metrics")[1])]
            return condition(pages[0])

        until(as_wanted, seconds, "the page on the connection that was there before")
        return pages[0]

    def close(self) -> None:
        self._connection.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_PROC4_without_descriptors_it_goes_on_and_accepts_again_when_there_are_some(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    under(monkeypatch, scene, "prlimit --nofile=64:64")
    config = plugins(scene, {"hoarder": HOARDER, "opener": OPENER})
    daemon = scene.start(config)
    hoard = scene.folder / "control.json.hoard"
    # New connections cannot be had meanwhile; the sampler and Prometheus make one for each question. And all plugins
    # of the tests open a file.
    allowed = ["X1", "X7", "X2: opener", "X2: hoarder", "X2: well", "X4: others"]
    with scene.fault(but_for=allowed), closing(Line(daemon)) as line:
        line.ask("GET", "/metrics")
        hoard.touch()
        line.page_with(lambda page: limited(page, "opener") >= 1, 5.0)
        used, began = cpu_seconds(daemon.pid), time.monotonic()
        page = line.page_with(lambda page: limited(page, "opener") >= 8, 10.0)
        assert cpu_seconds(daemon.pid) - used < 0.5 * (time.monotonic() - began)
        assert limited(page, "hoarder") >= 7
        assert page.own("collector_up", collector="health") == 1
        # What was kept back is enough for the log and for the configuration.
        config["log"]["level"] = "info"
        scene.write(config)
        assert line.ask("POST", "/-/reload") == (200, '{"changes":["log.level"],"applied":true}')
        until(lambda: bool(daemon.log_lines("configuration reloaded", "log.level")), 3.0, "the log says so")
        hoard.unlink()
        line.page_with(lambda page: bool(page.own("collector_up", collector="opener")), 3.0)
        until(lambda: ready(daemon), 3.0, "it accepts again")
        time.sleep(1.0)
    assert daemon.log_lines("collector failed", "collector=opener", "reason=limit", "descriptor")


TALKER = """
def act(self):
    for number in range(1000):
        logging.getLogger("plugin").info("line %d", number)
"""


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_PROC5_a_log_that_cannot_be_written_is_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, streams: str
) -> None:
    under(monkeypatch, scene, redirected=streams)
    start_unheard(scene, plugins(scene, {"talker": TALKER}))
    with scene.fault():
        before = lost(scene.daemon.page())
        assert before
        scene.page_with(lambda page: lost(page) >= before + 3000, 10.0)
    assert scene.daemon.stop() == 0


def test_PROC5_a_pipe_that_nobody_reads_does_not_hold_the_loop_or_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    under(monkeypatch, scene, redirected=f"2>{pipe}")
    daemon = start_unheard(scene, plugins(scene, {"talker": TALKER}))
    with scene.fault(but_for=["X6: rss"]):  # up to ten thousand lines wait
        scene.page_with(lambda page: lost(page) >= 3000, 30.0)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5.0
    os.close(reader)


def test_PROC5_a_reader_that_goes_away_costs_only_lines(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    under(monkeypatch, scene, redirected=f"2>{pipe} >{pipe}")
    start_unheard(scene, plugins(scene, {"talker": TALKER}))
    with scene.fault():
        os.close(reader)
        before = lost(scene.daemon.page())
        scene.page_with(lambda page: lost(page) >= before + 3000, 10.0)
        # Whoever opens it again sees lines from here on, and whole ones.
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        assert os.read(reader, 4096).startswith(b"ts=20")
        os.set_blocking(reader, False)
        os.close(reader)


def test_PROC7_a_loop_that_stands_still_is_told_with_its_place_and_goes_on(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault(but_for=["X1", "X2", "X3", "X4: others", "X7", "X9"]) as seen:
        scene.mood(one="block_once:2.5")
        until(lambda: bool(scene.daemon.log_lines("event loop is stuck", "_block_once")), 6.0, "it is told")
        assert scene.page_with(lambda page: bool(page.own("collector_up", collector="one")), 6.0)
        time.sleep(1.0)
    assert len(scene.daemon.log_lines("event loop is stuck", start=seen.log_start)) == 1
