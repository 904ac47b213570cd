"""Whatever arrives on its connections, the daemon as a process stays as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.process import Daemon, until
from tests.fuzz.campaign import Campaign, amounts
from tests.fuzz.requests import Visit, visit
from tests.fuzz.visitor import judge, pay

PATIENCE = 40.0  # seconds: its own deadlines are up to ten, and this machine may be busy
GROWTH = 40.0  # MiB
LAST_CYCLE = "platform_exporter_collection_last_timestamp_seconds"
_CONFIG = """\
web: {listen_addresses: ["127.0.0.1:0"], enable_lifecycle: true}
log: {level: debug}
cycle: {interval: 1s, timeout: 1s}
history: {path: null}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    pytest.importorskip("exporter.web.connections", reason="the server here has no deadlines yet")
    file = tmp_path / "exporter.yaml"
    file.write_text(_CONFIG)
    environ = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PYTHONPATH"))}
    environ.setdefault("PYTHONPATH", str(Path(__file__).parents[2]))
    daemon = Daemon(tmp_path, environ, [f"--config.file={file}"])
    daemon.wait_ready()
    yield daemon
    daemon.kill()


def patient(dice: Random, visit: Visit) -> bool:
    """Whether this client waits for the end: all would take days, and one who comes for a stream sees none."""
    return not visit.streams and (visit.single or dice.random() < 0.02)


@amounts(1500)
async def test_every_visit_leaves_the_daemon_as_it_was(amount: int, daemon: Daemon) -> None:
    """It answers throughout, is not at fault, says nothing of what it was sent, and keeps nothing of it."""
    campaign = Campaign("request to the daemon")
    before, last = daemon.vitals(), daemon.page().value(LAST_CYCLE)

    async def one(seed: int) -> None:
        dice = campaign.dice(seed)
        coming = visit(dice, seed)
        judge(coming, await pay(coming, daemon.port, PATIENCE if patient(dice, coming) else 0.0))

    await campaign.concurrently(amount, one, at_once=32)
    until(lambda: daemon.vitals().fds <= before.fds + 2, PATIENCE, "all connections are closed")
    assert daemon.get("/-/ready").status == 200
    until(lambda: daemon.page().value(LAST_CYCLE) > last, PATIENCE, "cycles go on")
    campaign.end()
    after, log = daemon.vitals(), daemon.log()
    assert after.rss - before.rss < GROWTH
    assert after.threads <= before.threads + 4
    assert [line for line in log.splitlines() if "zqM" in line or "Traceback" in line or "request failed" in line] == []
    assert daemon.stop() == 0
