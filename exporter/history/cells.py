"""The minutes of an hour, or the hours of a day, of one number: how they are put together and how they are stored.

A cell is what is known of one minute or hour. Stored are columns, and of those only what is not said already: most
numbers change rarely, and one that is read once a minute is its own lowest, highest and last.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence

LOW, HIGH, TOTAL, LAST, COUNT, JUMP, COVERED, RESETS = range(8)
WIDTH = 8

_NOTHING = array("d")

Cell = list[float]
Cells = dict[int, Cell]  # by the number of the minute or hour within its hour or day

# What is stored of a column: all of it, one number that stands for all, or nothing: it is zero, or as the one before.
_ALL, _ONE, _ZERO, _SAME = range(4)
_HEAD = struct.Struct("<BHQ")  # whether the rest is deflated, two bits per column, one bit per cell
_LEVEL = 1
_WORTH_IT = 0.9  # random numbers hardly shrink, and would take three times as long to read


def add(cells: Cells, slot: int, cell: Sequence[float]) -> None:
    """Puts what came later into the cell of its time."""
    here = cells.get(slot)
    if here is None:
        cells[slot] = list(cell)
        return
    here[LOW] = min(here[LOW], cell[LOW])
    here[HIGH] = max(here[HIGH], cell[HIGH])
    here[LAST] = cell[LAST]
    for column in (TOTAL, COUNT, JUMP, COVERED, RESETS):
        here[column] += cell[column]


def merged(cells: Iterable[tuple[int, Sequence[float]]]) -> Cells:
    """Cells from those that are given in the order they came."""
    result: Cells = {}
    for slot, cell in cells:
        add(result, slot, cell)
    return result


def encode(cells: Mapping[int, Sequence[float]]) -> bytes:
    """The stored form of some cells."""
    slots = sorted(cells)
    columns = [array("d", column) for column in zip(*[cells[slot] for slot in slots], strict=True)]
    # Whole seconds: cycles come within milliseconds of their time, and their noise would cost more than all else.
    columns[COVERED] = array("d", map(round, columns[COVERED]))
    modes, body = 0, array("d")
    for at, column in enumerate(columns):
        if at and column == columns[at - 1]:
            mode = _SAME
        elif column.count(column[0]) < len(column):
            mode = _ALL
            body.extend(column)
        elif column[0]:
            mode = _ONE
            body.append(column[0])
        else:
            mode = _ZERO
        modes |= mode << 2 * at
    # Byte by byte of all numbers, not number by number: neighbours share their upper bytes.
    plain = body.tobytes()
    shuffled = b"".join([plain[byte::8] for byte in range(8)])
    deflated = zlib.compress(shuffled, _LEVEL, -15)
    mask = sum(1 << slot for slot in slots)
    if len(deflated) < _WORTH_IT * len(plain):
        return _HEAD.pack(1, modes, mask) + deflated
    return _HEAD.pack(0, modes, mask) + plain


def columns_of(stored: bytes) -> tuple[int, list[array[float]]]:
    """The columns of what was stored, and a mask that has a bit for each cell that is there.

    A column from COUNT on that is all zero is empty: most have no jumps and resets, and nobody should copy them around.
    """
    deflated, modes, mask = _HEAD.unpack_from(stored)
    body = array("d", _unshuffled(zlib.decompress(stored[_HEAD.size :], -15)) if deflated else stored[_HEAD.size :])
    size, begin = mask.bit_count(), 0
    columns: list[array[float]] = []
    for at in range(WIDTH):
        mode = modes >> 2 * at & 3
        if mode == _ALL:
            columns.append(body[begin : begin + size])
            begin += size
        elif mode == _ONE:
            columns.append(body[begin : begin + 1] * size)
            begin += 1
        elif mode == _ZERO:
            columns.append(array("d", bytes(8 * size)) if at < COUNT else _NOTHING)
        else:
            columns.append(columns[-1])
    return mask, columns


def _unshuffled(shuffled: bytes) -> bytes:
    plain = bytearray(len(shuffled))
    each = len(shuffled) // 8
    for byte in range(8):
        plain[byte::8] = shuffled[byte * each : (byte + 1) * each]
    return bytes(plain)


def slots_of(mask: int) -> list[int]:
    """Which cells a mask speaks of."""
    return [slot for slot in range(mask.bit_length()) if mask >> slot & 1]


def decode(stored: bytes) -> Cells:
    """The cells of what was stored."""
    mask, columns = columns_of(stored)
    slots = slots_of(mask)
    full = [column or [0.0] * len(slots) for column in columns]
    return {slot: list(cell) for slot, cell in zip(slots, zip(*full, strict=True), strict=True)}
