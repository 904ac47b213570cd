"""Every way in which a file comes to have other content is noticed, once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.config.watch import Watch, fingerprint
from exporter.engine.threads import DaemonPool
from exporter.model.collector import T

pytestmark = pytest.mark.looptime

INTERVAL = 2.0


async def at_once(call: Callable[[], T]) -> T:
    """Stands in for a pool of threads: under a virtual clock a thread would take no time or all of it."""
    await asyncio.sleep(0)
    return call()


class Changes:
    def __init__(self) -> None:
        self.count = 0
        self.then: Callable[[], Awaitable[None]] | None = None

    async def __call__(self) -> None:
        self.count += 1
        if self.then is not None:
            await self.then()


@asynccontextmanager
async def watching(*paths: Path) -> AsyncIterator[tuple[Watch, Changes]]:
    changes = Changes()
    watch = Watch(paths, at_once, changes, INTERVAL)
    await watch.prime()
    task = asyncio.create_task(watch.run())
    try:
        yield watch, changes
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def looks(count: int = 1) -> None:
    await asyncio.sleep(INTERVAL * count + 0.5)


async def test_an_untouched_file_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a")
    async with watching(file) as (_, changes):
        await looks(5)
        os.utime(file, (1, 1))
        file.write_text("a")
        await looks(5)
        assert changes.count == 0


async def test_a_file_rewritten_in_place_is_one_change(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a")
    async with watching(file) as (_, changes):
        before = file.stat()
        file.write_text("b")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        await looks(5)
        assert changes.count == 1


async def test_an_editor_that_renames_a_new_file_over_the_old_one_is_one_change(tmp_path: Path) -> None:
    file, other = tmp_path / "c.yaml", tmp_path / "c.yaml~"
    file.write_text("a")
    async with watching(file) as (_, changes):
        other.write_text("b")
        other.rename(file)
        await looks(5)
        assert changes.count == 1


async def test_the_swap_of_a_mounted_config_map_is_one_change(tmp_path: Path) -> None:
    for name, text in (("..1", "a"), ("..2", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "c.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    file = tmp_path / "c.yaml"
    file.symlink_to("..data/c.yaml")
    async with watching(file) as (_, changes):
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await looks(5)
        assert changes.count == 1


async def test_deletion_is_a_change_and_return_another(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a")
    async with watching(file) as (_, changes):
        file.unlink()
        await looks(3)
        assert changes.count == 1
        file.write_text("a")
        await looks(3)
        assert changes.count == 2


async def test_a_half_written_file_and_its_rest_are_two_changes(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("whole")
    async with watching(file) as (_, changes):
        file.write_text("ha")
        await looks()
        file.write_text("half")
        await looks()
        assert changes.count == 2


async def test_several_files_changed_between_two_looks_are_one_change(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    async with watching(*files) as (_, changes):
        for file in files:
            file.write_text("new")
        await looks(3)
        assert changes.count == 1


async def test_what_changes_during_the_reload_is_found_by_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("a")
    async with watching(file) as (watch, changes):

        async def reload() -> None:
            changes.then = None
            file.write_text("c")
            watch.follow([file])

        changes.then = reload
        file.write_text("b")
        await looks(5)
        assert changes.count == 2


async def test_a_file_followed_later_is_watched_from_then_on_and_one_left_out_no_more(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    async with watching(old) as (watch, changes):
        watch.follow([new])
        await asyncio.sleep(INTERVAL / 4)
        new.write_text("written before the next look")
        await looks(2)
        assert changes.count == 1
        old.write_text("nobody cares")
        await looks(2)
        assert changes.count == 1


async def test_a_file_rewritten_without_pause_causes_one_reload_per_look(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    numbers = iter(range(1000))
    async with watching(file) as (watch, changes):

        async def reload() -> None:
            file.write_text(str(next(numbers)))
            watch.follow([file])

        changes.then = reload
        file.write_text("start")
        await looks(10)
        assert changes.count == 10


async def test_a_failing_callback_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "c.yaml"
    async with watching(file) as (_, changes):

        async def fail() -> None:
            raise RuntimeError("hunter2")

        changes.then = fail
        with caplog.at_level(logging.ERROR):
            file.write_text("a")
            await looks()
        assert caplog.messages == ["watching the configuration failed: RuntimeError"]
        file.write_text("b")
        await looks()
        assert changes.count == 2


async def test_what_was_noted_before_there_was_a_loop_counts_as_seen(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    changes = Changes()
    watch = Watch([file], at_once, changes, INTERVAL)
    watch.note()
    file.write_text("written between the load and the first look")
    task = asyncio.create_task(watch.run())
    await looks()
    task.cancel()
    await asyncio.wait([task])
    assert changes.count == 1


async def test_files_are_read_on_threads_of_the_pool(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    changed = asyncio.Event()

    async def on_change() -> None:
        changed.set()

    watch = Watch([file], DaemonPool("files", 1), on_change, interval=0.01)
    await watch.prime()
    file.write_text("a")
    task = asyncio.create_task(watch.run())
    await changed.wait()
    task.cancel()
    await asyncio.wait([task])


def test_what_cannot_be_read_has_a_fingerprint_as_well(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert fingerprint(tmp_path / "gone") == "no such file"
    assert fingerprint(tmp_path) == "is a directory"
    assert fingerprint(tmp_path / "pipe") == "not a regular file"
    (tmp_path / "loop").symlink_to("loop")
    assert fingerprint(tmp_path / "loop") == "too many levels of symbolic links"


async def test_files_of_a_pattern_that_come_change_and_go_are_changes(tmp_path: Path) -> None:
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    acts: list[Callable[[], object]] = [
        lambda: a.write_text("1"),
        lambda: a.write_text("2"),
        lambda: b.write_text("1"),
        lambda: b.rename(tmp_path / "c.yaml"),
        a.unlink,
    ]
    async with watching(tmp_path / "*.yaml") as (_, changes):
        for expected, act in enumerate(acts, 1):
            act()
            await looks()
            assert changes.count == expected
        (tmp_path / "b.json").write_text("1")
        await looks()
        assert changes.count == len(acts)
