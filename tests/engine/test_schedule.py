"""The grid: never doubled, never starved, never moved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.engine.schedule import Schedule

NAMES = ("a", "b", "c")
intervals = st.fixed_dictionaries({name: st.floats(0.1, 500.0) for name in NAMES})


def test_everything_is_due_at_the_first_tick_and_then_at_its_interval() -> None:
    schedule = Schedule(100.0, 15.0)
    schedule.set({"a": 15.0, "b": 30.0, "c": 1.0})
    assert [schedule.take(tick) for tick in range(4)] == [["a", "b", "c"], ["a", "c"], ["a", "b", "c"], ["a", "c"]]


def test_a_timer_that_fires_a_hair_early_still_meets_its_tick() -> None:
    schedule = Schedule(100.0, 15.0)
    assert schedule.tick(schedule.at(3) - 1e-9) == 3
    assert schedule.tick(schedule.at(3) - 0.1) == 2


def test_those_that_stay_keep_their_place_and_new_ones_are_due_at_once() -> None:
    schedule = Schedule(0.0, 1.0)
    schedule.set({"a": 10.0, "b": 1.0})
    schedule.take(0)
    schedule.set({"a": 10.0, "c": 10.0})
    assert schedule.take(1) == ["c"]
    schedule.set({"a": 10.0, "b": 1.0})
    assert schedule.take(2) == ["b"], "what was away is new"


def test_marked_ones_are_not_due_before_their_next_turn() -> None:
    schedule = Schedule(0.0, 1.0)
    schedule.set({"a": 4.0})
    schedule.mark(["a"], 2)
    assert [tick for tick in range(2, 9) if schedule.take(tick)] == [4, 8]


@given(st.floats(0.0, 1e6), st.floats(0.5, 60.0), st.integers(0, 100_000))
def test_the_grid_never_moves(start: float, interval: float, tick: int) -> None:
    schedule = Schedule(start, interval)
    assert schedule.tick(schedule.at(tick)) == tick
    assert schedule.tick(schedule.at(tick) + interval / 2) == tick


@given(intervals, st.lists(st.integers(1, 40), max_size=60))
def test_no_collector_is_doubled_or_starved_whatever_ticks_are_skipped(
    every: dict[str, float], steps: list[int]
) -> None:
    interval = 7.5
    schedule = Schedule(0.0, interval)
    schedule.set(every)
    whole = {name: max(1, round(seconds / interval)) for name, seconds in every.items()}
    taken: dict[str, list[int]] = {name: [] for name in NAMES}
    tick = 0
    for step in (0, *steps):
        tick += step
        due = schedule.take(tick)
        assert schedule.take(tick) == [], "a tick is taken once"
        for name in due:
            taken[name].append(tick)
        for name in NAMES:
            last = taken[name][-1]
            turns = range(last // whole[name] * whole[name] + whole[name], tick + 1, whole[name])
            assert not list(turns), "a turn passed without a run"
    for name in NAMES:
        turns_taken = [at // whole[name] for at in taken[name]]
        assert len(set(turns_taken)) == len(turns_taken), "one turn, one run"
