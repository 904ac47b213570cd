"""What the system does to a process: signals, limits, time, and the odd places it is started in."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene
from tests.programs import program

pytestmark = pytest.mark.slow

FULL = bool(os.environ.get("FULL"))
MIB = 1 << 20
ERRORS = "platform_exporter_collector_errors_total"
Under = Callable[..., None]

# What the plugins of this file begin with: a collector of one gauge, and what the control file tells it to do.
PLUGIN = """
import logging, mmap, os, signal, socket, subprocess, threading, time
from exporter.config.schema import CollectorOptions as Options
from exporter.model.metric import Family, Result, Samples
from hostile import mood_of

class Collector:
    blocking = False

    def __init__(self):
        self.kept = []

    @property
    def name(self):
        return NAME

    @property
    def families(self):
        return (Family(f"{NAME}_value", "A value."),)

    @property
    def mood(self):
        return mood_of(NAME).partition(":")

    def collect(self, run):
        return Result((Samples.of(self.families[0], float(self.act() or 0)),))

def build(options, parts):
    return Mine()
"""


def plugins(scene: Scene, sources: dict[str, str], *hostile: str) -> Config:
    """A configuration with these plugins, each the body of a class, and with hostile ones."""
    config = scene.config(*hostile)
    for name, body in sources.items():
        lines = "\n".join("    " + line for line in body.strip().splitlines())
        (scene.site / f"plugin_{name}.py").write_text(f"{PLUGIN}\nNAME = {name!r}\n\nclass Mine(Collector):\n{lines}\n")
    scene.offer({name: f"hostile:{name}" for name in ("well", *hostile)} | {n: f"plugin_{n}" for n in sources})
    config["plugins"] += list(sources)
    return config


@pytest.fixture
def under(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Under:
    """Has the daemon started by a command, or with its streams redirected."""

    def wrap(command: str = "", redirected: str = "") -> None:
        script = tmp_path / "interpreter"
        script.write_text(f'#!/bin/sh\nexec {command} {sys.executable} "$@" {redirected}\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return wrap


def start_unheard(scene: Scene, config: Config) -> Daemon:
    """Starts a daemon whose log cannot be read."""
    scene.write(config)
    daemon = scene.daemon = scene.spawn(f"--config.file={scene.file}")
    daemon.port = int(scene.address.rpartition(":")[2])
    until(lambda: ready(daemon), 20.0, "the daemon is ready")
    scene.cycles(2)
    return daemon


def ready(daemon: Daemon) -> bool:
    assert daemon.process.poll() is None, f"ended with {daemon.process.returncode}: {daemon.log()}"
    with suppress(OSError, http.client.HTTPException):
        return daemon.get("/-/ready").status == 200
    return False


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- signals


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


# -- descriptors


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


def limited(page: Page, name: str) -> float:
    return page.own("collector_errors_total", collector=name, reason="limit")


def test_PROC4_without_descriptors_it_goes_on_and_accepts_again_when_there_are_some(scene: Scene, under: Under) -> None:
    under("prlimit --nofile=64:64")
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
        assert daemon.log_lines("configuration reloaded", "log.level")
        hoard.unlink()
        line.page_with(lambda page: bool(page.own("collector_up", collector="opener")), 3.0)
        until(lambda: ready(daemon), 3.0, "it accepts again")
        time.sleep(1.0)
    assert daemon.log_lines("collector failed", "collector=opener", "reason=limit", "descriptor")


# -- streams


TALKER = """
def act(self):
    for number in range(1000):
        logging.getLogger("plugin").info("line %d", number)
"""


def lost(page: Page) -> float:
    return page.own("log_dropped_total")


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_PROC5_a_log_that_cannot_be_written_is_counted(scene: Scene, under: Under, streams: str) -> None:
    under(redirected=streams)
    start_unheard(scene, plugins(scene, {"talker": TALKER}))
    with scene.fault():
        before = lost(scene.daemon.page())
        assert before
        scene.page_with(lambda page: lost(page) >= before + 3000, 10.0)
    assert scene.daemon.stop() == 0


def test_PROC5_a_pipe_that_nobody_reads_does_not_hold_the_loop_or_the_end(
    scene: Scene, under: Under, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    under(redirected=f"2>{pipe}")
    daemon = start_unheard(scene, plugins(scene, {"talker": TALKER}))
    with scene.fault(but_for=["X6: rss"]):  # up to ten thousand lines wait
        scene.page_with(lambda page: lost(page) >= 3000, 30.0)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5.0
    os.close(reader)


def test_PROC5_a_reader_that_goes_away_costs_only_lines(scene: Scene, under: Under, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    under(redirected=f"2>{pipe} >{pipe}")
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


# -- memory


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


def test_PROC6_above_the_soft_limit_the_greatest_and_parts_of_the_page_have_to_wait(scene: Scene, under: Under) -> None:
    under(f"prlimit --as={4096 * MIB}")
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


def test_PROC6_a_collector_that_finds_no_memory_fails_alone(scene: Scene, under: Under) -> None:
    under(f"prlimit --as={4096 * MIB}")
    scene.start(plugins(scene, {"hog": HOG}))
    with scene.fault({"hog": ["limit"]}):
        scene.mood(hog="eat:8192")
        scene.page_with(lambda page: limited(page, "hog") >= 3, 5.0)
        scene.mood()
    assert scene.daemon.log_lines("collector failed", "collector=hog", "out of memory")


def test_COL16_a_collector_that_leaks_is_named_and_has_to_wait(scene: Scene, under: Under) -> None:
    under(f"prlimit --as={2048 * MIB}")
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


# -- plugins that reach for what belongs to all


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


def test_PROC7_a_loop_that_stands_still_is_told_with_its_place_and_goes_on(scene: Scene) -> None:
    scene.start(scene.config("one"))
    with scene.fault(but_for=["X1", "X2", "X3", "X4: others", "X7", "X9"]) as seen:
        scene.mood(one="block_once:2.5")
        until(lambda: bool(scene.daemon.log_lines("event loop is stuck", "_block_once")), 6.0, "it is told")
        assert scene.page_with(lambda page: bool(page.own("collector_up", collector="one")), 6.0)
        time.sleep(1.0)
    assert len(scene.daemon.log_lines("event loop is stuck", start=seen.log_start)) == 1


# -- time


def faketime() -> str:
    """The library that makes a clock lie to one process."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        program("faketime")
    return str(found[0])


def counted(page: Page) -> float:
    return page.own("collection_duration_seconds_count")


def test_PROC8_steps_of_the_wall_clock_move_stamps_and_nothing_else(scene: Scene, under: Under, tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    settings = f"FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
    under(f"env LD_PRELOAD={faketime()} {settings}")
    scene.start(scene.config("one"))
    with scene.fault(but_for=["X2"]):  # it compares the stamps with our own clock
        for hours in (2, -3, 24 * 365, 0):
            fresh = offset.with_suffix(".new")
            fresh.write_text(f"{hours * 3600:+d}\n")
            fresh.replace(offset)
            page = scene.cycles(1)
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


# -- a slow machine


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


def test_PROC9_on_a_tenth_of_a_processor_cycles_stretch_and_none_overlap(scene: Scene, under: Under) -> None:
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


# -- odd places


@pytest.mark.parametrize("locale", ["LANG=C", "LC_ALL=POSIX", "LANG=xx_XX.nothing PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"])
def test_PROC10_any_locale_and_no_home_will_do(scene: Scene, under: Under, locale: str) -> None:
    under(f"env -u HOME -u LANG -u LC_ALL {locale}")
    config = plugins(scene, {"umlaut": 'def act(self):\n    logging.getLogger("plugin").info("grün ☃")'}, "one")
    daemon = scene.start(config)
    with scene.fault():
        page = scene.cycles(3)
        assert page.value("publishing_health_status", target="good") == 1
    assert daemon.log_lines("grün ☃", "logger=plugin")
    assert lost(daemon.page()) == 0


def superuser() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change what this needs to change")


def simple(scene: Scene) -> Config:
    """No plugin of ours, as they leave marks in the file system."""
    config = scene.config()
    config["plugins"] = []
    del config["collectors"]["well"]
    return config


def test_PROC10_a_user_nobody_knows_and_a_read_only_root_will_do(alone: Scene, under: Under) -> None:
    superuser()
    program("setpriv")
    alone.folder.chmod(0o755)
    user = "setpriv --reuid=12345 --regid=12345 --clear-groups"
    if not os.stat(os.path.realpath(sys.executable)).st_mode & 0o001 or not reachable(Path(sys.executable)):
        user += " --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
    under(f"unshare --mount sh -c 'mount -o remount,bind,ro / && exec {user} env -u HOME \"$@\"' sh")
    daemon = alone.start(simple(alone))
    page = alone.cycles(4)
    assert page.value("publishing_health_status", target="good") == 1
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert "Uid:\t12345\t12345" in status
    mount = Path(f"/proc/{daemon.pid}/mounts").read_text().splitlines()
    assert any(line.split()[1] == "/" and "ro" in line.split()[3].split(",") for line in mount)
    assert list(daemon.folder.iterdir()) == []
    assert daemon.stop() == 0
    assert not daemon.log_lines("level=error")


def reachable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


ORPHANS = """
blocking = True

def act(self):
    subprocess.run(["sh", "-c", "(sleep 0.05 &); (sh -c 'sleep 0.02; exit 1' &)"])
    return subprocess.run(["sh", "-c", "sleep 0.05; exit 3"]).returncode
"""


def processes(init: int) -> dict[int, str]:
    """Those below a process, with their states."""
    found: dict[int, str] = {}
    waiting = [init]
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


@contextmanager
def as_process_1(scene: Scene, under: Under, config: Config) -> Iterator[tuple[Daemon, int]]:
    superuser()
    under("unshare --pid --fork --mount-proc --kill-child")
    daemon = scene.start(config)
    try:
        yield daemon, next(pid for pid in processes(daemon.pid) if pid != daemon.pid)
    finally:
        daemon.kill()


def test_PROC10_as_process_1_it_reaps_orphans_and_leaves_children_to_their_parents(alone: Scene, under: Under) -> None:
    with as_process_1(alone, under, plugins(alone, {"orphans": ORPHANS})) as (daemon, init):
        for _ in range(5):
            assert alone.cycles(2).value("orphans_value") == 3
        time.sleep(0.2)
        states = list(processes(init).values())
        assert states.count("Z") <= 1, states
        assert len(states) < 8, states
        began = time.monotonic()
        os.kill(init, signal.SIGTERM)
        assert daemon.ended(10.0) == 0
        assert time.monotonic() - began < 5.0
    assert daemon.log_lines("msg=stopping")


def test_PROC10_as_process_1_every_signal_reaches_the_daemon(alone: Scene, under: Under) -> None:
    with as_process_1(alone, under, alone.config("one")) as (daemon, init):
        alone.mood(one="swallow")
        alone.page_with(lambda page: bool(page.own("collector_errors_total", collector="one", reason="overrun")), 5.0)
        start = len(daemon.log())
        for number in (signal.SIGUSR1, signal.SIGHUP):
            os.kill(init, number)
        until(lambda: bool(daemon.log_lines("configuration reloaded", start=start)), 5.0, "a hangup reloads")
        os.kill(init, signal.SIGINT)
        until(lambda: bool(daemon.log_lines("msg=stopping")), 3.0, "the first is being followed")
        began = time.monotonic()
        os.kill(init, signal.SIGINT)
        assert daemon.ended(5.0) == 0
        assert time.monotonic() - began < 1.0


# -- starts


def waited_for_the_processor(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


@pytest.mark.timeout(600)
def test_PROC11_start_after_start_is_quick_and_leaves_nothing_behind(alone: Scene) -> None:
    alone.write(simple(alone))
    begins: list[float] = []
    for _ in range(100 if FULL else 20):
        daemon = alone.spawn(f"--config.file={alone.file}")
        daemon.port = int(alone.address.rpartition(":")[2])
        page: list[Page] = []

        def answered(daemon: Daemon = daemon, page: list[Page] = page) -> bool:
            with suppress(OSError, http.client.HTTPException, AssertionError):
                page[:] = [daemon.page()]
            return bool(page) and counted(page[0]) >= 1

        until(answered, 20.0, "the first page")
        # What other processes of the machine took away is none of its doing.
        assert time.monotonic() - daemon.began - waited_for_the_processor(daemon.pid) < 2.0
        begins.append(page[0].value("process_start_time_seconds"))
        assert counted(page[0]) <= 3
        daemon.send(signal.SIGKILL if len(begins) % 2 else signal.SIGTERM)
        daemon.ended(10.0)
        assert list(daemon.folder.iterdir()) == []
    assert begins == sorted(set(begins))


def test_PROC11_a_restart_before_the_old_one_is_gone_says_so(alone: Scene) -> None:
    config = simple(alone)
    alone.start(config)
    second = alone.spawn(f"--config.file={alone.file}")
    assert second.ended(5.0) == 1
    assert alone.address in second.log()
    assert "Traceback" not in second.log()
    assert alone.cycles(1).value("publishing_health_status", target="good") == 1


def test_PROC12_no_warning_from_start_to_stop(scene: Scene, under: Under) -> None:
    under()
    script = Path(sys.executable)
    script.write_text(script.read_text().replace('"$@"', '-X dev -W error "$@"'))
    config = scene.config("one", "bridge", "two")
    daemon = scene.start(config)
    with scene.fault({"two": ["internal"]}, but_for=["X9", "X2: bridge"]):
        scene.mood(two="raise_later:RuntimeError")
        scene.cycles(3)
        config["collectors"]["health"]["window"] = "2h"
        config["plugins"].remove("bridge")
        scene.write(config)
        assert daemon.reload().status == 200
        daemon.send(signal.SIGHUP)
        scene.write("mistake: [")
        daemon.reload()
        scene.write(config)
        scene.cycles(2)
        scene.mood()
    with socket.create_connection(("127.0.0.1", daemon.port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.1\r\n")
    assert daemon.stop() == 0
    for word in ("Warning", "never awaited", "never retrieved", "unclosed", "Traceback", "took 0.", "Task"):
        assert word not in daemon.log()


FLOORS = Path(__file__).parents[2] / "pyproject.toml"
# What needs neither real servers nor much time, and touches every dependency.
QUICK = ["tests/app", "tests/collectors", "tests/config", "tests/engine", "tests/exposition", "tests/publishing"]
QUICK += ["tests/sources", "tests/web", "tests/test_architecture.py"]


def lowest() -> list[str]:
    import tomllib

    needed = tomllib.loads(FLOORS.read_text())["project"]
    pinned = [requirement.split(",")[0].replace(">=", "==") for requirement in needed["dependencies"]]
    speed = [requirement.replace(">=", "==") for requirement in needed["optional-dependencies"]["speed"]]
    return [*pinned, *speed, *needed["optional-dependencies"]["dev"]]


@pytest.mark.timeout(900)
def test_PROC13_the_lowest_versions_allowed_pass_the_tests(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *lowest()], capture_output=True, text=True, timeout=600, check=False)
    if "Failed to establish a new connection" in done.stderr or "Temporary failure" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *QUICK]
    ran = subprocess.run(command, cwd=FLOORS.parent, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]


# -- the page as a whole


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
