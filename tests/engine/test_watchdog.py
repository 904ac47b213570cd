"""Who watches the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from exporter.engine import watchdog
from exporter.engine.clock import SystemClock
from exporter.engine.watchdog import Watchdog
from exporter.instruments.meter import Meter
from tests.engine.build import LoopClock

SAFE = 30.0


class Heard(logging.Handler):
    """Tells, in whatever thread, that something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.event.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    logger = logging.getLogger("exporter.watchdog")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.looptime
async def test_the_beat_measures_how_late_the_loop_wakes() -> None:
    clock = LoopClock()
    lag = Meter().histogram("event_loop_lag_seconds", "Lag.", (0.1, 1.0)).labels()
    chores: list[float] = []
    task = asyncio.ensure_future(Watchdog(clock, lag, lambda: chores.append(clock.monotonic())).run())
    await asyncio.sleep(1.2)
    assert lag.count == 2
    clock.held_up += 0.5
    await asyncio.sleep(0.4)
    assert lag.count == len(chores) == 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_col5_where_a_blocked_loop_stands_is_told_once_while_it_stands(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STUCK_AFTER", 0.02)
    monkeypatch.setattr(watchdog, "BEAT", 0.001)
    lag = Meter().histogram("event_loop_lag_seconds", "Lag.", (0.01, 1.0)).labels()
    task = asyncio.ensure_future(Watchdog(SystemClock(), lag).run())
    await asyncio.sleep(0)

    def blocked_here() -> None:
        assert heard.event.wait(SAFE)
        heard.event.clear()
        assert not heard.event.wait(0.1), "it is told once"

    blocked_here()
    while not lag.count:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stack = vars(heard.records[0])["fields"]["stack"]
    assert heard.records[0].getMessage() == "event loop is stuck"
    assert "blocked_here" in stack
    assert "SAFE" not in stack, "places, not source lines"


def test_a_loop_whose_thread_is_gone_has_no_stack_to_tell(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "STUCK_AFTER", 0.02)
    lag = Meter().histogram("event_loop_lag_seconds", "Lag.", (0.01,)).labels()
    dog = Watchdog(SystemClock(), lag)
    thread = threading.Thread(target=getattr(dog, "_watch"), args=(-1,), daemon=True)  # noqa: B009
    thread.start()
    assert not heard.event.wait(0.1)
    getattr(dog, "_ended").set()  # noqa: B009
    thread.join(SAFE)
    assert not thread.is_alive()
