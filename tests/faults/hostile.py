"""A package of plugins that do as a control file tells them, while they run: copied into a folder of its own by tests.

The entry point `hostile:NAME` is a collector of that name; its families begin with the name. Those whose names begin
with `bridge` are collectors of prometheus_client; those that begin with `twin` all declare the same family.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.config.schema import CollectorOptions
from exporter.config.types import SecretText
from exporter.model.collector import Run
from exporter.model.metric import Family, Kind, Result, Samples

SECRET = "zqException1Gd4hPj6"  # stands for what the text of an exception may quote
_control = Path(os.environ.get("HOSTILE_CONTROL", "control.json"))
_serial = count()


def mood_of(name: str) -> str:
    """What this collector is to do now."""
    moods: dict[str, str] = json.loads(_control.read_text())
    return moods.get(name, "well")


def note(name: str) -> None:
    """Leaves a mark that a run began."""
    with _control.with_name(f"{name}.runs").open("a") as file:
        file.write(".")


class Options(CollectorOptions):
    """What a plugin may be told in the configuration."""

    token: SecretText | None = None
    blocking: bool = False


class Number:
    """As the numbers of other libraries: no subclass of float, but convertible."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


class Unconvertible:
    def __float__(self) -> float:
        raise RuntimeError(SECRET)


class Uncommon(BaseException):
    """Not an Exception: `except Exception` lets it through."""


_RAISED: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (RuntimeError, Uncommon, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit)
}

GOOD_VALUES: tuple[Any, ...] = (
    1.5,
    1e308,
    -0.0,
    float("nan"),
    float("inf"),
    float("-inf"),
    7,
    True,
    Decimal("2.5"),
    Fraction(1, 4),
)
BAD_VALUES: tuple[Any, ...] = (10**400, "abc", "1", None, b"1", [], 1j, Unconvertible())
GOOD_LABELS = ("plain", 'quote"', "back\\slash", "line\nfeed", "\r\n", "nul\0", "\u202ertl", "é", b"bytes", 42, 1.5)
BAD_LABELS: tuple[Any, ...] = (None, "lone \ud800", "x" * 5_000_000, b"\xff\xfe", object(), ["list"], "é" * 600)


class Hostile:
    """A collector whose `collect` is what its mood says."""

    def __init__(self, name: str, blocking: bool) -> None:
        self.name = name
        self.blocking = blocking
        self.items = Family(f"{name}_items", "Items.", labels=("item",))
        self.events = Family(f"{name}_events_total", "Events.", Kind.COUNTER)
        self.wide = Family(f"{name}_wide", "Many labels.", labels=tuple(f"label_{i}" for i in range(500)))
        self.shared = Family("twin_shared", "Declared by several.", labels=("item",))
        own = (self.shared,) if name.startswith("twin") else ()
        self.families = (self.items, self.events, self.wide, *own)

    def collect(self, run: Run) -> Any:
        note(self.name)
        mood, _, argument = mood_of(self.name).partition(":")
        return MOODS[mood](self, argument)

    def well(self, argument: str = "") -> Result:
        if self.name.startswith("twin"):
            return Result((Samples.of(self.shared, {("same",): float(self.name[-1]), (self.name,): 1.0}),))
        return Result((Samples.of(self.items, {("one",): 1.0}), Samples.of(self.events, 1.0)))

    def goes_on(self, mood: str) -> bool:
        """Whether it is still to do what it does."""
        return mood_of(self.name).partition(":")[0] == mood


Mood = Callable[[Hostile, str], Result | Awaitable[Result]]


def _raise(hostile: Hostile, argument: str) -> Result:
    raise _RAISED[argument](SECRET)


async def _raise_later(hostile: Hostile, argument: str) -> Result:
    await asyncio.sleep(0.01)
    raise _RAISED[argument](SECRET)


async def _raise_in_a_task(hostile: Hostile, argument: str) -> Result:
    return await asyncio.create_task(_raise_later(hostile, argument))


async def _never(hostile: Hostile, argument: str) -> Result:
    await asyncio.Event().wait()
    return Result()


async def _swallow(hostile: Hostile, argument: str) -> Result:
    while hostile.goes_on("swallow"):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    return hostile.well()


def _block(hostile: Hostile, argument: str) -> Result:
    while hostile.goes_on("block"):
        time.sleep(0.05)
    return hostile.well()


def _block_once(hostile: Hostile, argument: str) -> Result:
    _control.write_text("{}")
    time.sleep(float(argument))
    return hostile.well()


async def _late(hostile: Hostile, argument: str) -> Result:
    end = time.monotonic() + float(argument)
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue
    return Result((Samples.of(hostile.items, {("late",): 666.0}),))


def _values(hostile: Hostile, argument: str) -> Result:
    rows = [(f"good-{at}", value) for at, value in enumerate(GOOD_VALUES)]
    rows += [(f"bad-{at}", value) for at, value in enumerate(BAD_VALUES)]
    return Result((Samples.of(hostile.items, {(item,): value for item, value in rows}),))


def _labels(hostile: Hostile, argument: str) -> Result:
    keys: tuple[Any, ...] = tuple((label,) for label in (*GOOD_LABELS, *BAD_LABELS))
    keys = (*keys, (), ("too", "many"), "text", None)
    return Result((Samples(hostile.items, keys, (1.0,) * len(keys)),))


def _counter(hostile: Hostile, argument: str) -> Result:
    return Result((Samples.of(hostile.events, float(argument)),))


def _empty(hostile: Hostile, argument: str) -> Result:
    return Result()


def _many(hostile: Hostile, argument: str) -> Result:
    keys = _numbers(int(argument))
    return Result((Samples(hostile.items, keys, (1.0,) * len(keys)),))


@lru_cache
def _numbers(up_to: int) -> tuple[tuple[str], ...]:
    """Made once: how long it takes is no matter of the daemon's. Not by a single call into C, which holds the lock."""
    return tuple([(str(at),) for at in range(up_to)])


def _random(hostile: Hostile, argument: str) -> Result:
    return Result((Samples.of(hostile.items, {(f"item-{next(_serial)}",): 1.0 for _ in range(int(argument))}),))


def _wide(hostile: Hostile, argument: str) -> Result:
    row = tuple(f"value-{at}" for at in range(500))
    return Result((Samples.of(hostile.wide, {row: 1.0}), *hostile.well().samples))


def _huge(hostile: Hostile, argument: str) -> Result:
    return Result((Samples.of(hostile.items, {("x" * 5_000_000,): 1.0, ("one",): 1.0}),))


MOODS: dict[str, Mood] = {
    "well": Hostile.well,
    "raise": _raise,
    "raise_later": _raise_later,
    "raise_in_a_task": _raise_in_a_task,
    "never": _never,
    "swallow": _swallow,
    "block": _block,
    "block_once": _block_once,
    "late": _late,
    "values": _values,
    "labels": _labels,
    "counter": _counter,
    "empty": _empty,
    "many": _many,
    "random": _random,
    "wide": _wide,
    "huge": _huge,
}


class Foreign:
    """A collector of prometheus_client, as its users write them."""

    def __init__(self, name: str) -> None:
        self.name = name

    def collect(self) -> Iterator[Metric]:
        note(self.name)
        mood, _, argument = mood_of(self.name).partition(":")
        if mood == "raise":
            yield self._items()
            raise _RAISED[argument](SECRET)
        if mood == "other":
            yield self._other(argument)
        elif mood == "names":
            yield self._label_names(int(argument))
        elif mood == "many":
            yield self._items(int(argument))
        while mood == "block" and mood_of(self.name) == "block":
            time.sleep(0.05)
        if mood in ("well", "block", "other"):
            yield self._items()
            yield CounterMetricFamily(f"{self.name}_events", "Events.", value=1)

    def _items(self, number: int = 1) -> Metric:
        metric = GaugeMetricFamily(f"{self.name}_items", "Items.", labels=["item"])
        for at in range(number):
            metric.add_metric([f"item-{at}"], 1)
        return metric

    def _other(self, what: str) -> Metric:
        """The name `bridge_one` has for a gauge, with another type or another help."""
        kind = CounterMetricFamily if what == "type" else GaugeMetricFamily
        metric = kind("bridge_one_items", "Something else.", labels=["item"])
        metric.add_metric(["other"], 2)
        return metric

    def _label_names(self, number: int) -> Metric:
        metric = Metric(f"{self.name}_items", "Items.", "gauge")
        for at in range(number):
            metric.add_sample(metric.name, {f"label_{at}": "x"}, 1.0)
        return metric


def _illegal(name: str) -> tuple[Family, ...]:
    return {
        "illegal": (Family("illegal-name", "Illegal."), Family("illegal_label", "Illegal.", labels=("a-b",))),
        "reserved": (Family("reserved_label", "Reserved.", labels=("__x",)),),
        "clash": (Family("twin_shared", "Declared by several.", Kind.UNKNOWN, ("item", "more")),),
        "own": (Family("platform_exporter_collector_up", "Taken."),),
    }[name]


def _build(name: str, options: Options) -> Any:
    if name in ("illegal", "reserved", "clash", "own"):
        return SimpleNamespace(name=name, families=_illegal(name), collect=lambda run: Result())
    return Hostile(name, options.blocking)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    if name.startswith("bridge"):
        return Foreign(name)
    return SimpleNamespace(Options=Options, build=lambda options, parts: _build(name, options))
