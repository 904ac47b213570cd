"""The daemon and its history: begun, kept up, stopped; and out of the way of everything else."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.app.archive import history_of
from exporter.app.daemon import Daemon
from exporter.app.settings import Flags, settle
from exporter.history.history import read
from exporter.model.errors import Unavailable
from exporter.publishing.past import Selector
from tests.app.test_daemon import BASE, page, running, target, until
from tests.fakes.remote import answer as http
from tests.fakes.remote import serve

HEALTH = Selector("publishing_health_status")


def value(text: str, name: str) -> float:
    found = re.search(rf"^platform_exporter_{name} (\S+)$", text, re.M)
    assert found is not None, name
    return float(found[1])


def newest(file: Path) -> int:
    """The number of the last snapshot in a file."""
    ((_, point),) = read(file, lambda reader: reader.last(HEALTH), time.monotonic() + 10)
    return point.snapshot


async def test_what_is_collected_is_kept_up_to_the_last_cycle_and_over_a_restart(tmp_path: Path) -> None:
    """Beside the configuration, by default; what is told to be stored is."""
    file = tmp_path / "platform-exporter.db"
    async with serve(http(200)) as receiver:
        config = f"targets: {{static: [{target('a', receiver.url())}]}}"
        async with running(tmp_path / "c", config) as (daemon, session):
            await until(session, 'health_status{target="a"', "platform_exporter_history_up 1.0")
        last = daemon.engine.feed.current()
        assert last is not None
        assert newest(file) == last.id
        async with running(tmp_path / "c", config) as (daemon, session):
            text = await until(session, "platform_exporter_history_up 1.0")
            assert value(text, "history_rows") > 1
            assert value(text, "history_bytes") >= file.stat().st_size
            assert abs(value(text, "history_last_stored_timestamp_seconds") - time.time()) < 30
            assert daemon.archive.history is not None
            ((series, point),) = await daemon.archive.history.last(HEALTH)
            assert (series.labels["target"], point.value) == ("a", 1.0)


async def test_storage_in_trouble_never_touches_a_scrape(tmp_path: Path) -> None:
    """It is told, and everything else goes on."""
    async with running(tmp_path / "c", "history: {path: nowhere/at/all.db}") as (daemon, session):
        text = await until(session, "platform_exporter_history_up 0.0")
        assert 'platform_exporter_history_errors_total{reason="gone"}' in text
        assert 'collector_up{collector="health"} 1.0' in text
        assert daemon.archive.history is not None
        with pytest.raises(Unavailable):
            await daemon.archive.history.last(HEALTH)


async def test_without_a_path_nothing_is_kept_and_nothing_is_counted(tmp_path: Path) -> None:
    """Off means off."""
    async with running(tmp_path / "c", "history: {path: null}") as (daemon, session):
        assert "platform_exporter_history" not in await page(session)
        assert daemon.archive.history is None
    assert {file.name for file in tmp_path.iterdir()} == {"c"}


async def test_a_single_collection_writes_nothing(tmp_path: Path) -> None:
    """It may run beside a daemon."""
    (tmp_path / "c").write_text(BASE)
    await Daemon(Flags(config_file=tmp_path / "c"), {}).once()
    assert {file.name for file in tmp_path.iterdir()} == {"c"}


async def test_a_reload_changes_what_is_kept_but_not_where(tmp_path: Path) -> None:
    """The file stays open; the rest counts from the next snapshot on."""
    file = tmp_path / "c"
    async with serve(http(200)) as receiver:
        targets = f"targets: {{static: [{target('a', receiver.url())}]}}\n"
        async with running(file, targets) as (daemon, session):
            await until(session, 'health_status{target="a"', "platform_exporter_history_up 1.0")
            file.write_text(BASE + targets + "history: {path: other.db}")
            async with session.post("/-/reload") as answer:
                assert answer.status == 400
            file.write_text(BASE + targets + "history: {series: ['nothing*'], minutes: 1d}")
            async with session.post("/-/reload") as answer:
                assert (await answer.json())["applied"] is True  # whoever watches the file may have been first
            assert daemon.archive.history is not None
            async with asyncio.timeout(10):
                while await daemon.archive.history.last(HEALTH):
                    await asyncio.sleep(0.05)
    assert not (tmp_path / "other.db").exists()


def test_the_prefix_of_the_families_applies_to_the_patterns(tmp_path: Path) -> None:
    """Whoever renames the families keeps them."""
    (tmp_path / "c").write_text("metric_prefix: alerts\nhistory: {series: ['publishing_*', 'up', '*_publishing_x']}")
    options = history_of(settle(Flags(config_file=tmp_path / "c"), {}).config)
    assert options.series == ("alerts_*", "up", "*_publishing_x")


def test_long_intervals_make_long_gaps(tmp_path: Path) -> None:
    """What is collected every ten minutes has no gap after ten minutes."""
    (tmp_path / "c").write_text("cycle: {interval: 10m}")
    assert history_of(settle(Flags(config_file=tmp_path / "c"), {}).config).gap == 1800.0


async def test_the_flag_for_the_path_beats_the_file(tmp_path: Path) -> None:
    """As every flag does."""
    (tmp_path / "c").write_text("history: {path: null}")
    flags = Flags(config_file=tmp_path / "c", storage_path=tmp_path / "elsewhere.db")
    history = Daemon(flags, {}).archive.history
    assert history is not None
    assert history.path == tmp_path / "elsewhere.db"


@pytest.mark.parametrize(("text", "loaded"), [("{}", True), ("history: {path: null}", False)], ids=["on", "off"])
def test_without_a_history_nothing_of_it_is_loaded(text: str, loaded: bool) -> None:
    """Memory, and the time a start takes."""
    script = (
        "import asyncio, sys; from exporter.app.daemon import Daemon; from exporter.app.settings import Flags\n"
        f"async def build(): Daemon(Flags(config_text={text!r}), {{}})\n"
        "asyncio.run(build()); print('exporter.history.store' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
