"""What becomes of canaries: home, lost, late, unknown."""

from __future__ import annotations

from exporter.publishing.canary import Canary, Returned, Tally
from tests.fakes.clock import ManualClock


def rows(tally: Tally) -> dict[str, tuple[float, ...]]:
    """The numbers of the one service there is, by family."""
    return {samples.family.name: samples.values for samples in tally.meter.capture()}


def one() -> tuple[Canary, Tally, ManualClock]:
    tally, clock = Tally(), ManualClock()
    return Canary("am", tally, clock), tally, clock


def test_before_the_first_nothing_is_known_but_that_none_was_sent_or_lost() -> None:
    _, tally, _ = one()
    assert rows(tally) == {"canary_sent_total": (0.0,), "canary_lost_total": (0.0,)}


def test_one_that_comes_back_is_timed() -> None:
    canary, tally, clock = one()
    id = canary.leave()
    clock.advance(0.75)
    assert canary.back([id]) == [Returned(0.75, late=False)]
    found = rows(tally)
    assert found["canary_last_received_timestamp_seconds"] == (clock.wall(),)
    assert (sum(found["canary_roundtrip_seconds"][:-1]), found["canary_roundtrip_seconds"][-1]) == (1.0, 0.75)
    assert not canary.give_up()
    assert (found["canary_sent_total"], rows(tally)["canary_lost_total"]) == ((1.0,), (0.0,))


def test_whatever_comes_twice_counts_once() -> None:
    canary, tally, clock = one()
    id = canary.leave()
    assert len(canary.back([id, id])) == 1
    clock.advance(5.0)
    before = rows(tally)
    assert canary.back([id]) == []
    assert rows(tally) == before


def test_ids_of_others_are_ignored() -> None:
    canary, tally, _ = one()
    id = canary.leave()
    before = rows(tally)
    assert canary.back(["", "x", id.upper() + " ", id[:-1], "0" * 32]) == []
    assert rows(tally) == before
    assert canary.back([id])


def test_no_two_have_the_same_id() -> None:
    canary, _, _ = one()
    ids = {canary.leave() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id) == 32 for id in ids)


def test_one_that_is_late_stays_lost_but_tells_that_there_is_a_way() -> None:
    canary, tally, clock = one()
    id = canary.leave()
    clock.advance(60.0)
    assert canary.give_up()
    assert not canary.give_up()
    clock.advance(30.0)
    assert canary.back([id]) == [Returned(90.0, late=True)]
    assert canary.back([id]) == []
    found = rows(tally)
    assert found["canary_lost_total"] == (1.0,)
    assert "canary_roundtrip_seconds" not in found
    assert found["canary_last_received_timestamp_seconds"] == (clock.wall(),)


def test_one_that_is_still_out_when_the_next_leaves_is_lost() -> None:
    canary, tally, _ = one()
    first = canary.leave()
    second = canary.leave()
    assert rows(tally)["canary_lost_total"] == (1.0,)
    assert [returned.late for returned in canary.back([first, second])] == [True, False]


def test_one_that_nobody_waits_for_any_more_is_not_lost() -> None:
    canary, tally, _ = one()
    canary.leave()
    canary.release()
    assert not canary.give_up()
    canary.leave()
    assert rows(tally)["canary_lost_total"] == (0.0,)


def test_only_the_newest_of_the_lost_are_remembered() -> None:
    canary, _, _ = one()
    ids = [canary.leave() for _ in range(1000)]
    assert len(canary.back(ids)) == 33


def test_what_is_forgotten_leaves_no_series() -> None:
    canary, tally, _ = one()
    canary.back([canary.leave()])
    tally.forget("am")
    assert rows(tally) == {}
