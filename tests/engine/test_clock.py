"""The machine's clocks."""

import time

from exporter.engine.clock import SystemClock


def test_one_clock_only_rises_and_the_other_is_the_time_of_day() -> None:
    clock = SystemClock()
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()
    assert abs(clock.wall() - time.time()) < 60.0
