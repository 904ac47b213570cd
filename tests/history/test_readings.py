"""From readings to cells: increases, restarts, gaps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from math import inf, nan

import pytest

from exporter.history.cells import Cells
from exporter.history.readings import MINUTE, Base, Block, Reading, Sums

GAP = 300_000
START = 1_700_006_400_000


def sums(
    values: Sequence[float | tuple[float, ...]],
    counts: Sequence[bool] = (True,),
    base: Base | None = None,
    scope: bool = False,
    every: int = 15,
    ats: Sequence[int] | None = None,
) -> Sums:
    """What comes of these readings, one every so many seconds, taken as one block."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    times = [START + at * 1000 for at in ats or range(0, every * len(rows), every)]
    found = Sums.of(counts, "scope", base)
    block = Block(times, [GAP] * len(rows), lambda name, row: scope)
    found.take(block, list(zip(*rows, strict=True)))
    return found


def totals(cells: Cells, column: int) -> float:
    return sum(cell[column] for cell in cells.values())


TOTAL, LAST, COUNT, JUMP, COVERED, RESETS = 2, 3, 4, 5, 6, 7


def test_a_counter_is_kept_as_what_it_rose() -> None:
    """In the first minute nobody knows what came before the first reading."""
    (minutes,) = sums([10, 12, 15, 15, 20, 21, 21, 30]).minutes
    first, second = minutes[START // MINUTE], minutes[START // MINUTE + 1]
    assert first == [0.0, 3.0, 5.0, 15.0, 4.0, 0.0, 45.0, 0.0]
    assert second == [0.0, 9.0, 15.0, 30.0, 4.0, 0.0, 60.0, 0.0]


def test_a_gauge_is_kept_as_it_is() -> None:
    """Lowest, highest, sum and last of its values."""
    (minutes,) = sums([3.0, -1.0, 2.0], counts=(False,)).minutes
    assert minutes == {START // MINUTE: [-1.0, 3.0, 4.0, 2.0, 3.0, 0.0, 30.0, 0.0]}


def test_a_restart_counts_from_zero() -> None:
    """What is read after it came since it; an increase is never negative."""
    (minutes,) = sums([100, 104, 3, 5]).minutes
    (cell,) = minutes.values()
    assert (cell[TOTAL], cell[RESETS], min(cell[:3])) == (4 + 3 + 2, 1.0, 0.0)


def test_a_restart_is_seen_by_any_number_of_a_histogram() -> None:
    """One bucket has risen above its old count since, another tells that both began anew."""
    found = sums([(1.0, 50.0), (3.0, 2.0)], counts=(True, True))
    assert [totals(minutes, TOTAL) for minutes in found.minutes] == [3.0, 2.0]


def test_what_came_across_a_gap_is_kept_apart() -> None:
    """It is no spike in the minute in which somebody looked again, and it is not lost."""
    (minutes,) = sums([10, 11, 5000, 5001], ats=[0, 15, 7200, 7215]).minutes
    assert totals(minutes, TOTAL) == 1 + 1
    assert totals(minutes, JUMP) == 4989
    assert totals(minutes, COVERED) == 30.0


def test_a_restart_in_a_gap_is_kept_apart_too() -> None:
    """Nobody knows when within the gap it was."""
    (minutes,) = sums([10, 4], ats=[0, 7200]).minutes
    assert (totals(minutes, TOTAL), totals(minutes, JUMP), totals(minutes, RESETS)) == (0.0, 4.0, 1.0)


def test_a_restart_while_the_rest_was_watched_is_no_gap() -> None:
    """A counter that is made with its first event is absent from a restart to that event."""
    (minutes,) = sums([4], base=Base(START - 7_200_000, (10.0,)), scope=True).minutes
    assert (totals(minutes, TOTAL), totals(minutes, JUMP)) == (4.0, 0.0)


@pytest.mark.parametrize(("scope", "amount"), [(True, 7.0), (False, 0.0)])
def test_a_new_counter_began_at_zero_if_it_would_have_been_seen_before(scope: bool, amount: float) -> None:
    """The first failure of a target makes the counter of its failures: it must not go unseen."""
    (minutes,) = sums([7.0, 7.0], scope=scope).minutes
    assert totals(minutes, TOTAL) == amount


def test_a_clock_set_back_leaves_a_gap_and_no_negative_number() -> None:
    """The order is that of the readings, not that of their times."""
    (minutes,) = sums([10, 12, 13], ats=[86400, 0, 15]).minutes
    assert (totals(minutes, TOTAL), totals(minutes, JUMP)) == (1.0, 2.0)
    assert min(min(cell) for cell in minutes.values()) == 0.0


@pytest.mark.parametrize("odd", [nan, inf, -inf])
def test_what_is_no_number_is_as_if_it_were_absent(odd: float) -> None:
    """Of a counter and of a gauge; those around it count."""
    (counter,), (gauge,) = sums([1, odd, 5]).minutes, sums([1, odd, 5], counts=(False,)).minutes
    assert totals(counter, TOTAL) == 4.0
    assert (totals(gauge, TOTAL), totals(gauge, COUNT)) == (6.0, 2.0)


def test_quantiles_without_a_value_do_not_hide_the_count() -> None:
    """A summary without observations of late has quantiles that are no numbers."""
    found = sums([(nan, 4.0), (nan, 6.0)], counts=(False, True))
    assert found.minutes[0] == {}
    assert totals(found.minutes[1], TOTAL) == 2.0


def test_blocks_and_single_readings_come_to_the_same() -> None:
    """However the snapshots are cut into blocks, and with every kind of trouble among them."""
    chance = random.Random(7)
    for _ in range(200):
        size = chance.randint(2, 40)
        ats, at = [], START
        for _ in range(size):
            at += chance.choice([15_000] * 8 + [60_000, 400_000, -50_000])
            ats.append(at)
        value, values = 100.0, []
        for _ in range(size):
            value = chance.choice([value + chance.randint(0, 5)] * 9 + [1.0])
            values.append(chance.choice([value] * 12 + [nan]))
        whole, single = (Sums.of((True,), "s", Base(START, (98.0,))) for _ in range(2))
        cuts = sorted({0, size, *(chance.randint(0, size) for _ in range(3))})
        for begin, end in pairwise(cuts):
            block = Block(ats[begin:end], [GAP] * (end - begin), lambda name, row: True)
            whole.take(block, [tuple(values[begin:end])])
        for when, number in zip(ats, values, strict=True):
            single.one(Reading(when, GAP, (number,), lambda: True))
        assert whole.minutes == single.minutes
        assert whole.base is not None
        assert single.base is not None
        assert (whole.base.at, list(whole.base.values)) == (single.base.at, list(single.base.values))
