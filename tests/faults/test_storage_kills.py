"""Kills at moments nobody chose: what the daemon had shown as stored is in the file afterwards.

Whatever else the machine does meanwhile does not matter, so they take what others leave over of it.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.fakes.receiver import Background, Receiver
from tests.faults.process import Daemon, until
from tests.faults.scene import Scene
from tests.faults.surroundings import simple, waited_for_the_processor
from tests.history.build import integrity

pytestmark = pytest.mark.slow

KILLS = 2000 if os.environ.get("FULL") else 200
SIDES = 2
STORED = "history_last_stored_timestamp_seconds"
Row = tuple[int, int]  # when, and the number of the snapshot


@pytest.fixture
def scenes(tmp_path: Path, background: Background, receiver: Receiver) -> Iterator[list[Scene]]:
    """Daemons that know nothing of each other: one waits while the other works."""
    folders = [tmp_path / str(number) for number in range(SIDES)]
    for folder in folders:
        folder.mkdir()
    scenes = [Scene(folder, background, receiver, None) for folder in folders]
    yield scenes
    for scene in scenes:
        scene.close()


def rows(path: Path) -> list[Row]:
    if not path.exists():  # it was killed before it came to that
        return []
    with closing(sqlite3.connect(path)) as database:
        known = database.execute("select name from sqlite_master where name = 'raw'").fetchone()
        return database.execute("select at, snapshot from raw order by seq").fetchall() if known else []


def stored(daemon: Daemon) -> float:
    """When the newest snapshot was made that is shown as stored; 0 if nobody can be asked yet."""
    with suppress(OSError, http.client.HTTPException, AssertionError):
        return daemon.page().own(STORED)
    return 0.0


class Victim:
    """One daemon after the other on one history, each killed."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._path = scene.folder / "platform-exporter.db"
        self._chance = random.Random(seed)
        self._rows: list[Row] = []
        config = simple(scene)
        config["cycle"] = {"interval": "50ms", "timeout": "50ms"}
        scene.write(config)

    def kill(self, times: int) -> None:
        for number in range(times):
            began = time.time()
            daemon = self._scene.spawn(f"--config.file={self._scene.file}")
            daemon.port = int(self._scene.address.rpartition(":")[2])
            shown, waited = 0.0, 0.0
            if number % 4:
                until(lambda daemon=daemon: stored(daemon) > 0.0, 30.0, "something is stored")  # type: ignore[misc]
                time.sleep(self._chance.uniform(0.0, 0.2))
                shown, waited = stored(daemon), waited_for_the_processor(daemon.pid)
            else:  # at its start, whatever it does then
                time.sleep(self._chance.uniform(0.2, 0.8))
            daemon.send(signal.SIGKILL)
            assert daemon.ended(10.0) == -signal.SIGKILL
            self._look(shown, began + waited)  # what others had of the machine is none of its doing

    def _look(self, shown: float, began: float) -> None:
        if self._path.exists():
            assert integrity(self._path) == "ok"
        after = rows(self._path)
        before, fresh = self._rows, after[len(self._rows) :]
        assert after[: len(before)] == before
        # None is missing in between, and none is there twice.
        assert [snapshot for _, snapshot in fresh] == list(range(1, len(fresh) + 1))
        if shown:
            times = [at for at, _ in fresh]
            assert round(shown * 1000) in times
            assert times[0] / 1000 - began < 2.0
        self._rows = after

    def whole(self) -> bool:
        """Whether it was the one file all the time."""
        return not list(self._path.parent.glob("*.broken-*"))


@pytest.mark.timeout(0)
def test_DB5_nothing_that_was_shown_as_stored_is_lost_by_a_kill(scenes: list[Scene]) -> None:
    victims = [Victim(scene, seed) for seed, scene in enumerate(scenes)]
    with ThreadPoolExecutor(SIDES) as pool:
        list(pool.map(lambda victim: victim.kill(KILLS // SIDES), victims))
    assert all(victim.whole() for victim in victims)
