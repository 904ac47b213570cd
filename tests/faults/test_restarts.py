"""Starts by the dozen, and one under the eyes of the interpreter."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.page import Page
from tests.faults.process import Daemon, until
from tests.faults.scene import Scene
from tests.faults.surroundings import (
    counted,
    simple,
    under,
    waited_for_the_processor,
)

pytestmark = pytest.mark.slow


FULL = bool(os.environ.get("FULL"))


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


def test_PROC12_no_warning_from_start_to_stop(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    under(monkeypatch, scene)
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
