"""How probes are spread over their interval."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from exporter.publishing.slots import Slots

NAMES = [f"target-{number}" for number in range(1000)]


def ticks_of(slots: Slots, name: str, ticks: list[float]) -> list[int]:
    """The ticks at which a target is due, when each is served at once."""
    due, served = float("-inf"), []
    for number, now in enumerate(ticks):
        if slots.is_due(due, now):
            served.append(number)
            due = slots.next(name, ticks[0], now)
    return served


def test_all_targets_are_due_at_the_start_and_then_evenly_spread() -> None:
    slots = Slots(interval=60.0, tick=15.0)
    ticks = [100.0 + 15.0 * number for number in range(13)]
    load = Counter(tick for name in NAMES for tick in ticks_of(slots, name, ticks))
    assert load[0] == 1000
    assert all(200 < load[tick] < 300 for tick in range(1, 13)), load


def test_between_two_probes_lies_the_interval_and_never_more() -> None:
    slots = Slots(interval=60.0, tick=15.0)
    ticks = [7.0 + 15.0 * number for number in range(40)]
    for name in NAMES[:50]:
        served = ticks_of(slots, name, ticks)
        gaps = [later - earlier for earlier, later in pairwise(served)]
        assert gaps[0] <= 4
        assert set(gaps[1:]) == {4}


def test_ticks_that_come_a_little_early_or_late_neither_skip_nor_double() -> None:
    slots = Slots(interval=60.0, tick=15.0)
    ticks = [15.0 * number + wobble for number, wobble in enumerate([0.0, -0.2, 0.3, -0.1, 0.2] * 8)]
    for name in NAMES[:50]:
        served = ticks_of(slots, name, ticks)
        assert {later - earlier for earlier, later in pairwise(served[1:])} == {4}


def test_an_extra_tick_in_between_does_not_double_a_slot() -> None:
    slots = Slots(interval=60.0, tick=15.0)
    ticks = sorted([15.0 * number for number in range(20)] + [15.0 * number + 7.4 for number in range(20)])
    for name in NAMES[:50]:
        served = [ticks[number] for number in ticks_of(slots, name, ticks)][1:]
        assert all(later - earlier > 52 for earlier, later in pairwise(served))


def test_after_a_long_pause_a_target_is_due_once() -> None:
    slots = Slots(interval=60.0, tick=15.0)
    assert slots.is_due(slots.next("a", 0.0, 0.0), 7200.0)
    assert not slots.is_due(slots.next("a", 0.0, 7200.0), 7200.0)


@pytest.mark.parametrize(("interval", "tick", "period"), [(60, 15, 60), (5, 15, 15), (50, 15, 45), (15, 15, 15)])
def test_the_real_interval_is_whole_ticks(interval: float, tick: float, period: float) -> None:
    assert Slots(interval, tick).period == period
