"""How cells are put together, and that what is stored is what is read."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.history.cells import (
    COUNT,
    COVERED,
    JUMP,
    RESETS,
    Cells,
    add,
    columns_of,
    decode,
    encode,
    merged,
    slots_of,
)

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
cells = st.lists(numbers, min_size=8, max_size=8).map(
    lambda cell: [*cell[:COVERED], float(round(cell[COVERED] % 1e6)), cell[RESETS]]
)


@given(st.dictionaries(st.integers(0, 59), cells, min_size=1))
def test_what_is_stored_is_what_is_read(some: Cells) -> None:
    """To the last bit, whatever the numbers are; only seconds are whole."""
    assert decode(encode(some)) == some


def test_numbers_that_repeat_cost_next_to_nothing() -> None:
    """A constant takes a few bytes, an hour of readings at random little more than their own size."""
    chance = random.Random(1)
    constant = {slot: [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 60.0, 0.0] for slot in range(60)}
    noise = {
        slot: [value, value, value, value, 1.0, 0.0, 60.0, 0.0] for slot in range(60) if (value := chance.random())
    }
    assert len(encode(constant)) < 40
    assert len(encode(noise)) < 60 * 8 + 40


def test_what_came_later_is_added_to_what_is_there() -> None:
    """Lowest and highest of both, the last of the later, the sum of all else."""
    both = merged([(3, [1.0, 5.0, 6.0, 5.0, 2.0, 1.0, 30.0, 0.0]), (3, [0.0, 2.0, 2.0, 2.0, 1.0, 0.0, 15.0, 1.0])])
    assert both == {3: [0.0, 5.0, 8.0, 2.0, 3.0, 1.0, 45.0, 1.0]}


def test_a_cell_that_is_added_to_is_a_copy() -> None:
    """The cells given are left as they were."""
    given_cell, result = [1.0] * 8, Cells()
    add(result, 0, given_cell)
    add(result, 0, given_cell)
    assert given_cell == [1.0] * 8
    assert result[0][COUNT] == 2.0


def test_columns_of_nothing_but_zeros_are_empty() -> None:
    """The readers skip them; where zero is a value it is there."""
    mask, columns = columns_of(
        encode({1: [0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0], 4: [0.0] * 4 + [2.0, 0.0, 0.0, 0.0]})
    )
    assert slots_of(mask) == [1, 4]
    assert [len(column) for column in columns] == [2, 2, 2, 2, 2, 0, 0, 0]
    assert not columns[JUMP]


@pytest.mark.parametrize("noise", [0.001, -0.004])
def test_the_noise_of_the_clock_is_not_stored(noise: float) -> None:
    """Cycles come within milliseconds of their time; the seconds covered are whole."""
    read = decode(encode({0: [1.0, 1.0, 1.0, 1.0, 4.0, 0.0, 60.0 + noise, 0.0]}))
    assert read[0][COVERED] == 60.0
    assert math.isfinite(read[0][COVERED])
