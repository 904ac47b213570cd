"""Which families of a collector are wanted, and what a collector is."""

from __future__ import annotations

import pytest

from exporter.engine.blocking import Blocking as OnThread
from exporter.engine.limits import Limits
from exporter.engine.slot import Off, Slot
from exporter.engine.threads import DaemonPool
from exporter.model.reason import Outcome, Reason
from tests.engine.build import Blocking, Deriving, Eager, entry, steady, things

POOL = DaemonPool("calls", 1)


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), (), True),
        (("publishing_*",), (), True),
        (("other_*", "*_size"), (), True),
        (("other_*",), (), False),
        ((), ("*size",), False),
        (("*",), ("publishing_queue_size",), False),
        (("PUBLISHING_*",), (), False),
    ],
    ids=str,
)
def test_a_family_is_wanted_if_it_is_included_and_not_excluded(
    include: tuple[str, ...], exclude: tuple[str, ...], wanted: bool
) -> None:
    assert entry(steady("a"), include=include, exclude=exclude).wants("publishing_queue_size") is wanted


def test_how_a_collector_is_run_is_seen_once() -> None:
    plain, blocking = steady("a"), Blocking("b", lambda run: things("b"))
    slots = [
        Slot(entry(item), Limits(), POOL)
        for item in (plain, blocking, Eager("c", lambda run: None), Deriving("d", lambda results: None))
    ]
    assert slots[0].start == plain.collect
    assert isinstance(slots[1].start, OnThread)
    assert [slot.every_tick for slot in slots] == [False, False, True, False]
    assert [slot.derived for slot in slots] == [False, False, False, True]


def test_a_collector_that_is_off_says_why() -> None:
    assert Off("a").record().outcome is Outcome.DISABLED
    assert Off("a", Reason.CONFIG, "why").record()[:4] == ("a", Outcome.ERROR, Reason.CONFIG, "why")
