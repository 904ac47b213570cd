"""Odd places to be started in."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene
from tests.faults.surroundings import (
    lost,
    plugins,
    simple,
    superuser,
    under,
)
from tests.programs import program

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("locale", ["LANG=C", "LC_ALL=POSIX", "LANG=xx_XX.nothing PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"])
def test_PROC10_any_locale_and_no_home_will_do(scene: Scene, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    under(monkeypatch, scene, f"env -u HOME -u LANG -u LC_ALL {locale}")
    config = plugins(scene, {"umlaut": 'def act(self):\n    logging.getLogger("plugin").info("grün ☃")'}, "one")
    daemon = scene.start(config)
    with scene.fault():
        page = scene.cycles(3)
        assert page.value("publishing_health_status", target="good") == 1
    assert daemon.log_lines("grün ☃", "logger=plugin")
    assert lost(daemon.page()) == 0


def test_PROC10_a_user_nobody_knows_and_a_read_only_root_will_do(alone: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    superuser()
    program("setpriv")
    alone.folder.chmod(0o755)
    user = "setpriv --reuid=12345 --regid=12345 --clear-groups"
    if not os.stat(os.path.realpath(sys.executable)).st_mode & 0o001 or not reachable(Path(sys.executable)):
        user += " --inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
    under(
        monkeypatch, alone, f"unshare --mount sh -c 'mount -o remount,bind,ro / && exec {user} env -u HOME \"$@\"' sh"
    )
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
def as_process_1(scene: Scene, monkeypatch: pytest.MonkeyPatch, config: Config) -> Iterator[tuple[Daemon, int]]:
    superuser()
    under(monkeypatch, scene, "unshare --pid --fork --mount-proc --kill-child")
    daemon = scene.start(config)
    try:
        yield daemon, next(pid for pid in processes(daemon.pid) if pid != daemon.pid)
    finally:
        daemon.kill()


def test_PROC10_as_process_1_it_reaps_orphans_and_leaves_children_to_their_parents(
    alone: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_process_1(alone, monkeypatch, plugins(alone, {"orphans": ORPHANS})) as (daemon, init):
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


def test_PROC10_as_process_1_every_signal_reaches_the_daemon(alone: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with as_process_1(alone, monkeypatch, alone.config("one")) as (daemon, init):
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
