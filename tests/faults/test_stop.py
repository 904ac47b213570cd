"""A stop at any moment: the process leaves with 0 and in time, whatever hangs."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from contextlib import suppress

import pytest

from tests.faults.process import Daemon, until
from tests.faults.scene import Scene

pytestmark = pytest.mark.slow

WITHIN = 10.0


def stopped(daemon: Daemon, within: float = WITHIN, number: signal.Signals = signal.SIGTERM) -> None:
    """Asks it to stop: it must leave with 0, without a traceback, and answer nobody any more."""
    children = daemon.vitals().children
    daemon.send(number)
    assert daemon.ended(within) == 0
    assert "Traceback" not in daemon.log()
    assert children == 0
    with pytest.raises(OSError):
        daemon.get("/metrics")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_PROC1_an_idle_daemon_stops_at_once(alone: Scene, number: signal.Signals) -> None:
    daemon = alone.start(alone.config())
    stopped(daemon, 3.0, number)
    assert daemon.log_lines("msg=stopping")


def test_PROC1_a_stop_in_the_middle_of_a_cycle_cancels_it(alone: Scene) -> None:
    daemon = alone.start(alone.config("one"))
    alone.mood(one="never")
    runs = alone.runs("one")
    until(lambda: alone.runs("one") > runs, 3.0, "a cycle is under way")
    stopped(daemon, 3.0)


def test_PROC1_a_stop_in_the_middle_of_reloads_ends_them(alone: Scene) -> None:
    daemon = alone.start(alone.config())

    def reload() -> None:
        with suppress(OSError, http.client.HTTPException):  # it is leaving
            daemon.reload()

    asking = [threading.Thread(target=reload, daemon=True) for _ in range(20)]
    for thread in asking:
        thread.start()
        daemon.send(signal.SIGHUP)
    stopped(daemon, 5.0)
    for thread in asking:
        thread.join(5.0)


def test_PROC1_hung_threads_and_tasks_that_swallow_cancellation_do_not_hold_it(alone: Scene) -> None:
    names = [f"blocker{at}" for at in range(8)]
    config = alone.config("swallower", "bridge", *names)
    config["collectors"] |= {name: {"blocking": True} for name in names}
    daemon = alone.start(config)
    alone.mood(swallower="swallow", **dict.fromkeys(("bridge", *names), "block"))
    alone.page_with(
        lambda page: all(
            page.own("collector_errors_total", collector=name, reason="overrun")
            for name in ("swallower", "bridge", *names)
        ),
        5.0,
    )
    stopped(daemon)


def test_PROC1_a_plugin_that_holds_the_loop_does_not_hold_the_stop(alone: Scene) -> None:
    daemon = alone.start(alone.config("one"))
    alone.mood(one="block_once:60")
    runs = alone.runs("one")
    until(lambda: alone.runs("one") > runs, 3.0, "the loop stands still")
    stopped(daemon)


def test_PROC1_readers_that_stay_do_not_hold_it(alone: Scene) -> None:
    daemon = alone.start(alone.config())
    streams = []
    for path in ("/events", "/metrics", "/events"):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=5)
        connection.request("GET", path)
        connection.getresponse()
        streams.append(connection)
    stopped(daemon, 5.0)
    for connection in streams:
        connection.close()


def test_PROC1_two_signals_in_the_same_moment_are_one_stop(alone: Scene) -> None:
    daemon = alone.start(alone.config())
    daemon.send(signal.SIGINT)
    stopped(daemon, 3.0)


def test_PROC1_a_second_signal_ends_it_at_once(alone: Scene) -> None:
    daemon = alone.start(alone.config("one"))
    alone.mood(one="swallow")
    alone.page_with(lambda page: bool(page.own("collector_errors_total", collector="one", reason="overrun")), 5.0)
    daemon.send(signal.SIGTERM)
    until(lambda: bool(daemon.log_lines("msg=stopping")), 3.0, "the first is being followed")
    began = time.monotonic()
    daemon.send(signal.SIGTERM)
    assert daemon.ended(WITHIN) == 0
    assert time.monotonic() - began < 0.5
