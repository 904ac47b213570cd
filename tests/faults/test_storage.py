"""A daemon whose history cannot be kept: all else goes on, and it is kept again as soon as that is possible."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene
from tests.faults.surroundings import superuser
from tests.history.build import integrity, kept
from tests.programs import program, tracer

pytestmark = pytest.mark.slow

FULL = bool(os.environ.get("FULL"))
STORED = "history_last_stored_timestamp_seconds"
WRITES = "history_write_duration_seconds_count"
BESIDE = ("", "-wal", "-shm")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    superuser()
    yield from mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=4m", "none")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that may fail."""
    superuser()
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run([program("mkfs.ext4"), "-q", image], check=True)
    yield from mounted(tmp_path / "disk", "-o", "loop", str(image))


def mounted(folder: Path, *what: str) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(["mount", *what, folder], capture_output=True, check=False).returncode:
        pytest.skip("such file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def config_of(scene: Scene, path: Path) -> Config:
    return scene.config() | {"history": {"path": str(path)}}


def path_of(scene: Scene) -> Path:
    """Where the history is unless it is told otherwise."""
    return scene.folder / "platform-exporter.db"


def started(scene: Scene) -> Daemon:
    """Starts the daemon without the time it takes to get warm."""
    scene.write(scene.config())
    scene.daemon = scene.spawn(f"--config.file={scene.file}")
    scene.daemon.wait_ready()
    return scene.daemon


def stored(page: Page) -> float:
    return page.own(STORED)


def failures(page: Page, reason: str) -> float:
    return page.own("history_errors_total", reason=reason)


def down(scene: Scene, reason: str, seconds: float = 5.0) -> Page:
    """Waits until it is said that nothing is stored, and why; whoever asks for what is made of it gets an answer."""
    page = scene.page_with(
        lambda page: page.get("platform_exporter_history_up") == 0.0 and failures(page, reason) > 0,
        seconds,
        f"the history is down: {reason}",
    )
    for path in ("stats", "stats/good", "trends", "health"):
        assert scene.daemon.get(f"/api/v2/publishing/{path}").status in (200, 503)
    return page


def up(scene: Scene, seconds: float = 8.0) -> Page:
    """Waits until snapshots are stored again, and some have been."""
    begin = scene.daemon.page().own(WRITES)
    return scene.page_with(
        lambda page: page.own("history_up") == 1.0 and page.own(WRITES) >= begin + 2, seconds, "the history is up"
    )


def nothing_lost(scene: Scene, path: Path) -> None:
    """Every snapshot that was made is there, once and in order, in a file that is whole."""
    page = scene.daemon.page()
    assert page.own("history_dropped_snapshots_total") == 0.0
    numbers = kept(path)
    assert numbers == list(range(1, len(numbers) + 1))
    assert shown(path, stored(page))
    assert integrity(path) == "ok"


def shown(path: Path, wall: float) -> bool:
    """Whether a snapshot that was shown as stored is."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("select 1 from raw where at = ?", (round(wall * 1000),)).fetchone() is not None


def aside(path: Path) -> list[Path]:
    """Files that were broken, without what belongs to them."""
    return [file for file in path.parent.glob(f"{path.name}.broken-*") if not file.name.endswith(BESIDE[1:])]


def said(daemon: Daemon, *fragments: str) -> Sequence[str]:
    return daemon.log_lines("history", *fragments)


def test_DB1_on_a_full_disk_the_daemon_goes_on_and_nothing_is_lost(small: Path, scene: Scene) -> None:
    path, filler = small / "history.db", small / "filler"
    scene.start(config_of(scene, path))
    with scene.fault():
        filler.write_bytes(bytes(os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        before = stored(down(scene, "full"))
        assert stored(scene.cycles(3)) == before
        filler.unlink()
        up(scene)
    nothing_lost(scene, path)
    assert len(said(scene.daemon, "history is not stored", "reason=full")) == 1
    assert len(said(scene.daemon, "history is stored again")) == 1


def test_DB2_a_file_system_that_is_read_only_at_the_start_means_no_history(small: Path, scene: Scene) -> None:
    path = small / "history.db"
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    daemon = scene.start(config_of(scene, path))
    with scene.fault(but_for=["X6: fds"]):  # it has the files only then
        down(scene, "readonly")
        scene.cycles(2)
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)
        up(scene)
    nothing_lost(scene, path)
    assert len(said(daemon, "history is not stored", "reason=readonly", "level=warn")) == 1


def test_DB2_a_file_system_that_becomes_read_only_is_told(disk: Path, scene: Scene) -> None:
    path = disk / "history.db"
    daemon = scene.start(config_of(scene, path))
    up(scene)
    with scene.fault():
        subprocess.run(["mount", "-o", "remount,abort", disk], check=True)
        before = stored(down(scene, "readonly"))
        assert stored(scene.cycles(3)) == before
    assert len(said(daemon, "history is not stored", "reason=readonly")) == 1


@pytest.mark.parametrize("damage", ["header", "cut", "words", "folder", "empty"])
def test_DB3_a_broken_file_is_set_aside_at_the_start(alone: Scene, damage: str) -> None:
    path, kept_bytes = path_of(alone), b"was here before\n" * 1000
    if damage in ("header", "cut"):
        started(alone)
        up(alone)
        assert alone.daemon.stop() == 0
        content = path.read_bytes()
        kept_bytes = bytes(100) + content[100:] if damage == "header" else content[: len(content) // 3]
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"" if damage == "empty" else kept_bytes)
    started(alone)
    up(alone)
    nothing_lost(alone, path)
    if damage == "empty":
        assert aside(path) == []
        return
    (broken,) = aside(path)
    assert broken.is_dir() if damage == "folder" else broken.read_bytes() == kept_bytes
    assert len(said(alone.daemon, "set aside", "level=error")) == 1


def test_DB3_a_file_that_breaks_while_it_is_used_is_set_aside_without_a_restart(scene: Scene) -> None:
    """First it is cut, then it is overwritten: only a reader can notice that."""
    path = path_of(scene)
    scene.start(scene.config())
    with scene.fault():
        settle(path)
        os.truncate(path, 4096)
        until(lambda: len(aside(path)) == 1, 3.0, "the cut one is set aside")
        up(scene)
        settle(path)
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        until(lambda: len(aside(path)) == 2, 20.0, "the overwritten one is set aside")
        up(scene)
    assert integrity(path) == "ok"
    page = scene.daemon.page()
    assert failures(page, "corrupt") == 2.0
    assert page.own("history_dropped_snapshots_total") == 0.0
    assert len(said(scene.daemon, "set aside", "level=error")) == 2


def settle(path: Path) -> None:
    """Moves everything from the log into the file."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma wal_checkpoint(truncate)")


def test_DB4_another_writer_delays_and_loses_nothing(scene: Scene) -> None:
    path = path_of(scene)
    scene.start(scene.config())
    up(scene)
    with scene.fault(), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        before = stored(down(scene, "busy"))
        time.sleep(25.0 if FULL else 3.0)
        assert stored(scene.cycles(1)) == before
        other.execute("rollback")
        up(scene)
    nothing_lost(scene, path)


@contextmanager
def failing(daemon: Daemon, call: str, error: str) -> Iterator[None]:
    """Lets every such call of the process fail, for a while."""
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    command = [tracer(), "-f", "-o", "/dev/null", *inject, "-p", str(daemon.pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracing:
        try:
            yield
        finally:
            tracing.terminate()


def test_DB6_a_disk_that_does_not_take_what_was_written_is_no_success(scene: Scene) -> None:
    path = path_of(scene)
    scene.start(scene.config())
    up(scene)
    # The tracer holds up every call of the process.
    with scene.fault(but_for=["X9", "X4: others"]):
        with failing(scene.daemon, "fdatasync", "EIO"):
            before = stored(down(scene, "io"))
            assert stored(scene.cycles(3)) == before
        up(scene)
    nothing_lost(scene, path)


def test_DB7_a_file_that_is_removed_or_replaced_is_noticed_within_a_cycle(scene: Scene) -> None:
    path = path_of(scene)
    scene.start(scene.config())
    up(scene)
    other = scene.folder / "other.db"
    settle(path)
    shutil.copy(path, other)
    before = kept(other)
    with scene.fault():
        removed = scene.daemon.page().own("collection_duration_seconds_count")
        for suffix in BESIDE:
            path.with_name(path.name + suffix).unlink()
        page = scene.page_with(lambda page: failures(page, "gone") == 1.0, 3.0)
        assert page.own("collection_duration_seconds_count") - removed <= 2
        up(scene)
        assert shown(path, stored(scene.daemon.page()))
        other.replace(path)
        page = scene.page_with(lambda page: failures(page, "gone") == 2.0, 3.0)
        up(scene)
    page = scene.daemon.page()
    assert page.own("history_dropped_snapshots_total") == 0.0
    numbers = kept(path)
    assert numbers[: len(before)] == before
    assert numbers[len(before) :] == list(range(numbers[len(before)], numbers[-1] + 1))
    assert shown(path, stored(page))
    assert integrity(path) == "ok"


@pytest.mark.parametrize("owner", ["newer", "other"])
def test_DB10_a_file_of_a_newer_release_or_another_program_is_left_alone(alone: Scene, owner: str) -> None:
    path = path_of(alone)
    if owner == "newer":
        started(alone)
        up(alone)
        assert alone.daemon.stop() == 0
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 7" if owner == "newer" else "create table theirs (a)")
        database.execute("pragma wal_checkpoint(truncate)")
    content = path.read_bytes()
    daemon = started(alone)
    down(alone, "version")
    alone.cycles(2)
    assert path.read_bytes() == content
    words = "version 7" if owner == "newer" else "the database of another program"
    assert len(said(daemon, "history is not stored", "reason=version", words)) == 1


def test_DB12_a_second_daemon_waits_for_the_first_and_takes_over(alone: Scene) -> None:
    path = path_of(alone)
    first = alone.start(alone.config())
    up(alone)
    config = alone.config()
    config["web"]["listen_addresses"] = ["127.0.0.1:0"]
    second = alone.start(config)
    down(alone, "busy")
    alone.cycles(2)
    assert len(said(second, "history is not stored", "another daemon writes this file")) == 1
    assert first.stop() == 0
    begin = len(kept(path))
    up(alone)
    page = alone.daemon.page()
    assert page.own("history_dropped_snapshots_total") == 0.0
    assert kept(path)[begin:] == list(range(1, len(kept(path)) - begin + 1))
    assert integrity(path) == "ok"
