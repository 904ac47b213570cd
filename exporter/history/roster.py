"""Which metrics are kept, by which ids, and in what order a snapshot's numbers are stored."""

from __future__ import annotations

import json
import sqlite3
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from exporter.model.metric import Family, Key, Kind, Samples
from exporter.publishing.past import Series

# A snapshot may have more series than anybody would look at; what is over this is not kept, and that is said.
MOST_METRICS = 50_000
# What came from different processes does not begin at the same time.
_PROCESS = ("upstream", "replica")

Identity = tuple[str, str, str, str]  # family, kind, labels and parts as they are stored
Shape = tuple[tuple[str, Family, tuple[Key, ...]], ...]


class Batch(NamedTuple):
    """The numbers of one snapshot as they are stored."""

    at: int
    snapshot: int
    layout: int
    readings: bytes


class Layout(NamedTuple):
    """Which metrics a snapshot had: their ids, ascending, and where the numbers of each begin."""

    ids: array[int]
    places: array[int]

    @classmethod
    def read(cls, stored: bytes) -> Layout:
        pairs = array("q")
        pairs.frombytes(zlib.decompress(stored))
        ids, widths, places = pairs[::2], pairs[1::2], array("q", [0])
        for width in widths:
            places.append(places[-1] + width)
        return cls(ids, places)

    def of(self, low: int, high: int) -> tuple[array[int], array[int]]:
        """The metrics from one id to another, and their places; one more place than metrics: the end."""
        begin, end = bisect_left(self.ids, low), bisect_right(self.ids, high)
        return self.ids[begin:end], self.places[begin : end + 1]

    @staticmethod
    def stored(metrics: Iterable[tuple[int, int]]) -> bytes:
        return zlib.compress(array("q", chain.from_iterable(metrics)).tobytes(), 1)


def parts_of(family: Family) -> list[str]:
    """What each number of a metric is."""
    bounds = [f"{bound:g}" if float(f"{bound:g}") == bound else repr(bound) for bound in family.bounds]
    if family.kind is Kind.HISTOGRAM:
        return [*bounds, "+Inf", "sum"]
    return [*bounds, "sum", "count"] if family.kind is Kind.SUMMARY else [""]


def _identity(family: Family, key: Key) -> Identity:
    labels = json.dumps(dict(zip(family.labels, key, strict=True)))
    return family.name, family.kind, labels, json.dumps(parts_of(family))


@lru_cache(maxsize=256)
def _read(parts: str) -> tuple[str, ...]:
    return tuple(json.loads(parts))


@lru_cache(maxsize=256)
def counters(kind: str, parts: str) -> tuple[bool, ...]:
    """Which numbers of a stored metric only rise."""
    return tuple(Series("", Kind(kind), {}, part).counts for part in _read(parts))


def series_of(family: str, kind: str, labels: str, parts: str) -> list[Series]:
    """The numbers of a stored metric."""
    named: dict[str, str] = json.loads(labels)
    return [Series(family, Kind(kind), named, part) for part in _read(parts)]


class Roster:
    """The metrics known so far. New ones, and new combinations of them, are written in the batch's transaction."""

    def __init__(self, database: sqlite3.Connection, full: Callable[[int], object], most: int = MOST_METRICS) -> None:
        self._database = database
        self._full = full
        self._most = most
        self._ids: dict[Identity, int] = {}
        self._known: dict[Family, dict[Key, int]] = {}  # the same, without the cost of an identity
        self._layouts: dict[bytes, int] = {}
        self._patterns: Sequence[str] = ()
        self._kept: dict[str, bool] = {}
        self._shape: Shape = ()
        self._layout = 0
        self._order: list[int] = []
        self._doubtful = True

    def _load(self) -> None:
        rows = self._database.execute("select id, family, kind, labels, parts from metric")
        self._ids = {(family, kind, labels, parts): id for id, family, kind, labels, parts in rows}
        self._known = {}
        self._layouts = {}
        self._layout = 0
        self._doubtful = False

    def doubt(self) -> None:
        """Something was removed from the file: what is known here may not be so."""
        self._doubtful = True

    def keep(self, patterns: Sequence[str]) -> None:
        """Which families are kept, as globs on their names."""
        if patterns != self._patterns:
            self._patterns, self._kept, self._layout = patterns, {}, 0

    def _wanted(self, name: str) -> bool:
        wanted = self._kept.get(name)
        if wanted is None:
            wanted = self._kept[name] = any(fnmatchcase(name, pattern) for pattern in self._patterns)
        return wanted

    def batch(self, at: int, snapshot: int, samples: Mapping[str, tuple[Samples, ...]]) -> Batch:
        """What to store of a snapshot."""
        if self._doubtful:
            self._load()
        found = [(collector, each) for collector, all in samples.items() for each in all if self._wanted(each[0].name)]
        # Tuples are compared by identity first: as long as no metric comes or goes this costs next to nothing.
        shape = tuple((collector, family, keys) for collector, (family, keys, _) in found)
        if shape != self._shape or not self._layout:
            self._arrange(at, shape)
            self._shape = shape
        numbers = list(chain.from_iterable(values for _, (_, _, values) in found))
        return Batch(at, snapshot, self._layout, array("d", [numbers[place] for place in self._order]).tobytes())

    def _arrange(self, at: int, shape: Shape) -> None:
        placed: list[tuple[int, int, int]] = []  # id, place, width
        new: list[tuple[str, Family, Key, int]] = []
        place = 0
        for collector, family, keys in shape:
            for key in keys:
                id = self._id(family, key)
                if id is None:
                    new.append((collector, family, key, place))
                else:
                    placed.append((id, place, family.width))
                place += family.width
        if new:
            self._make_room(len(new), {id for id, _, _ in placed})
            room = max(0, self._most - len(self._ids))
            for collector, family, key, place in new[:room]:
                placed.append((self._add(at, collector, family, key), place, family.width))
            if new[room:]:
                self._full(len(new) - room)
        placed.sort()
        self._order = [place + part for _, place, width in placed for part in range(width)]
        self._layout = self._layout_of(Layout.stored((id, width) for id, _, width in placed))

    def _id(self, family: Family, key: Key) -> int | None:
        known = self._known.setdefault(family, {})
        id = known.get(key)
        if id is None:
            id = self._ids.get(_identity(family, key))
            if id is not None:
                known[key] = id
        return id

    def _add(self, at: int, collector: str, family: Family, key: Key) -> int:
        execute, identity = self._database.execute, _identity(family, key)
        (id,) = execute("select value from meta where name = 'next'").fetchone()
        named = dict(zip(family.labels, key, strict=True))
        scope = json.dumps([collector, *(named.get(label) for label in _PROCESS)])
        execute("insert into metric values (?, ?, ?, ?, ?, ?, ?, null)", (id, *identity, scope, at))
        execute("update meta set value = ? where name = 'next'", (id + family.width,))
        self._ids[identity] = id
        return int(id)

    def _make_room(self, wanted: int, present: set[int]) -> None:
        """Forgets the metrics that were not seen for longest: their cells age out with all others of their time."""
        excess = len(self._ids) + wanted - self._most
        if excess <= 0:
            return
        # More than asked for, or a steady stream of new ones would ask each time.
        excess = max(excess, self._most // 50)
        identities = {id: identity for identity, id in self._ids.items()}
        rows = self._database.execute("select id from metric order by seen, id").fetchall()
        gone = [id for (id,) in rows if id not in present][:excess]
        self._database.executemany("delete from metric where id = ?", [(id,) for id in gone])
        for id in gone:
            del self._ids[identities[id]]
        self._known.clear()

    def _layout_of(self, stored: bytes) -> int:
        id = self._layouts.get(stored)
        if id is None:
            execute = self._database.execute
            known = execute("select id from layout where metrics = ?", (stored,)).fetchone()
            id = known[0] if known else execute("insert into layout (metrics) values (?)", (stored,)).lastrowid
            assert id is not None
            self._layouts[stored] = id
        return id
