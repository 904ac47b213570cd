"""The loop around the origins, on a clock that needs no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exporter.model.collector import T
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.findings import Findings
from exporter.publishing.listing import Listing
from exporter.publishing.refresh import RefreshRules, RefreshState
from exporter.sources.discovery import Discovery
from exporter.sources.origins import Incomplete, Origin, Static

pytestmark = pytest.mark.looptime

RULES = RefreshRules(interval=300.0, timeout=30.0, attempts=5, backoff=1.0, backoff_max=30.0, manual_interval=60.0)
DOWN = Failure(Reason.CONNECT, "connection refused")
Act = Listing | Exception | float | None


class LoopClock:
    """The loop's own time, which looptime moves."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1e9 + self.monotonic()


def now() -> float:
    return asyncio.get_running_loop().time()


async def at_once(call: Callable[[], T]) -> T:
    """Stands in for a pool of threads: under a virtual clock a thread would take no time or all of it."""
    await asyncio.sleep(0)
    return call()


def target(name: str, origin: str) -> Target:
    return Target(name=name, type="webhook", format="webhook", url=Secret("https://h/x"), origin=origin, source=name)


def listing(*names: str, origin: str = "kubernetes") -> Listing:
    return Listing(origin=origin, targets=tuple(target(name, origin) for name in names))


@dataclass
class Place:
    """An origin that does what it is told, one act for each listing, the last one for ever; a number is a delay."""

    kind: str = "kubernetes"
    acts: list[Act] = field(default_factory=list)
    watched: Collection[Path] = ()
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    closed: int = 0

    @property
    def name(self) -> str:
        return self.kind

    async def list(self) -> Listing:
        self.times.append(now())
        self.at_once += 1
        assert self.at_once == 1, "never twice at once"
        try:
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            if isinstance(act, float):
                await asyncio.sleep(act)
                return listing(origin=self.kind)
            if isinstance(act, Exception):
                raise act
            return act or listing(origin=self.kind)
        finally:
            self.at_once -= 1

    async def close(self) -> None:
        self.closed += 1


class Telling(Place):
    """One that tells of changes."""

    changed: Callable[[Listing], None]
    stale: Callable[[], None]
    watching: int = 0

    async def watch(self, changed: Callable[[Listing], None], stale: Callable[[], None]) -> None:
        self.changed, self.stale = changed, stale
        self.watching += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.watching -= 1


class World:
    """Discovery with what it knows and what it told."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.told: list[tuple[float, tuple[str, ...]]] = []
        self.discovery = Discovery(self.findings, LoopClock(), at_once, self._tell, luck=lambda: 0.0)

    def _tell(self, names: Iterable[str]) -> None:
        self.told.append((now(), tuple(names)))

    @property
    def names(self) -> list[str]:
        return list(self.findings.directory.current())

    @property
    def detail(self) -> Any:
        return self.findings.refresh_detail()


@asynccontextmanager
async def running(*origins: Origin, rules: RefreshRules = RULES) -> AsyncIterator[World]:
    world = World()
    world.discovery.configure(origins, rules)
    loop = asyncio.create_task(world.discovery.run())
    await asyncio.sleep(0.01)
    try:
        yield world
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left running"


async def test_the_first_refresh_comes_at_once_and_the_others_in_time() -> None:
    place = Place(acts=[listing("a")])
    async with running(place) as world:
        assert world.names == ["a"]
        assert world.detail.state is RefreshState.SUCCESS
        await asyncio.sleep(650.0)
        assert place.times == pytest.approx([0.0, 300.0, 600.0], abs=0.1)
        assert world.findings.last_success == pytest.approx(1e9 + 600.0, abs=0.1)


async def test_targets_of_the_configuration_are_there_before_anything_runs() -> None:
    world = World()
    world.discovery.configure([Static([target("a", "static")])], RULES)
    assert world.names == ["a"]
    assert world.told == [(0.0, ("health", "discovery", "refresh"))]


async def test_whoever_has_something_new_to_show_is_told() -> None:
    place = Place(acts=[listing("a"), listing("a"), listing("b")])
    async with running(place) as world:
        everybody, refreshed = ("health", "discovery", "refresh"), ("discovery", "refresh")
        assert [names for _, names in world.told] == [("refresh",), everybody, refreshed]
        world.told.clear()
        await asyncio.sleep(310.0)
        assert [names for _, names in world.told] == [("refresh",), refreshed], "nothing has changed"
        await asyncio.sleep(310.0)
        assert [names for _, names in world.told][2:] == [("refresh",), everybody, refreshed]


async def test_W_R1_every_attempt_has_its_own_time_and_the_cause_is_kept() -> None:
    """A slow attempt takes nothing from the next, and what is told in the end is what happened last."""
    place = Place(acts=[100.0, DOWN])
    async with running(place) as world:
        await asyncio.sleep(30.5)
        assert [failure.reason for failure in world.findings.failures] == [Reason.TIMEOUT]
        assert world.detail.state is RefreshState.IN_PROGRESS
        await asyncio.sleep(20.0)
        assert place.times == pytest.approx([0.0, 31.0, 33.0, 37.0, 45.0], abs=0.1)
        assert (world.detail.state, world.detail.reason) == (RefreshState.FAILED, Reason.CONNECT)
        assert world.detail.detail == "connection refused"
        assert world.detail.duration == pytest.approx(45.0, abs=0.1)


async def test_a_place_that_is_down_for_long_is_asked_less_than_once_a_second() -> None:
    """And it is back within the longest pause."""
    place = Place(acts=[DOWN])
    async with running(place) as world:
        await asyncio.sleep(600.0)
        gaps = [later - earlier for earlier, later in zip(place.times, place.times[1:], strict=False)]
        assert min(gaps) >= 1.0
        assert max(gaps) <= 30.1
        place.acts = [listing("a")]
        await asyncio.sleep(30.1)
        assert world.names == ["a"]
        assert world.detail.state is RefreshState.SUCCESS


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.CONFIG, Reason.PARSE])
async def test_what_asking_again_will_not_mend_is_not_asked_again_at_once(reason: Reason) -> None:
    place = Place(acts=[Failure(reason, "no")])
    async with running(place) as world:
        await asyncio.sleep(20.0)
        assert len(place.times) == 1
        assert world.detail.reason is reason


async def test_an_error_that_nobody_expected_is_a_failure_like_others() -> None:
    async with running(Place(acts=[RuntimeError("s3cr3t")])) as world:
        await asyncio.sleep(20.0)
        assert (world.detail.reason, world.detail.detail) == (Reason.INTERNAL, "RuntimeError")


async def test_one_failed_origin_costs_the_others_nothing() -> None:
    """Their listings count at once; the failed one keeps what it had."""
    file = Place("file", [listing("a", origin="file"), listing("b", origin="file")])
    cluster = Place(acts=[listing("c"), DOWN])
    async with running(file, cluster) as world:
        assert world.names == ["a", "c"]
        await asyncio.sleep(300.0)
        assert world.names == ["b", "c"]
        await asyncio.sleep(20.0)
        assert world.detail.state is RefreshState.FAILED
        assert [source.reason for source in world.detail.sources] == [None, Reason.CONNECT]


async def test_part_of_a_listing_counts_and_the_refresh_has_failed() -> None:
    place = Telling(acts=[Incomplete(Reason.AUTH, "not allowed", listing("a"))])
    async with running(place) as world:
        assert world.names == ["a"]
        assert (world.detail.state, world.detail.reason) == (RefreshState.FAILED, Reason.AUTH)
        assert place.watching == 1


async def test_a_refresh_by_hand_begins_at_once_and_moves_the_next_one() -> None:
    place = Place(acts=[listing("a"), 10.0])
    async with running(place) as world:
        await asyncio.sleep(100.0)
        assert world.discovery.ask().state == "accepted"
        assert world.detail.state is RefreshState.IN_PROGRESS
        assert world.discovery.ask().state == "running"
        await asyncio.sleep(20.0)
        asked = world.discovery.ask()
        assert asked.state == "limited"
        assert asked.retry_after == pytest.approx(40.0, abs=0.1)
        await asyncio.sleep(270.0)
        assert len(place.times) == 2
        await asyncio.sleep(25.0)
        assert place.times == pytest.approx([0.0, 100.0, 410.0], abs=0.1)


async def test_whoever_waits_for_a_refresh_joins_the_one_under_way() -> None:
    place = Place(acts=[10.0])
    async with running(place) as world:
        await asyncio.gather(*(world.discovery.refresh() for _ in range(5)))
        assert now() == pytest.approx(10.0, abs=0.1)
        assert len(place.times) == 1


async def test_before_the_start_and_after_the_stop_nothing_can_be_asked() -> None:
    place = Place(acts=[10.0])
    async with running(place) as world:
        assert world.detail.state is RefreshState.IN_PROGRESS
    assert world.discovery.ask().state == "stopped"
    assert place.closed == 1
    assert World().discovery.ask().state == "stopped"


async def test_a_watch_makes_changes_visible_without_a_list() -> None:
    place = Telling(acts=[listing("a")])
    async with running(place) as world:
        world.told.clear()
        place.changed(listing("a", "b"))
        assert world.names == ["a", "b"]
        assert [names for _, names in world.told] == [("health", "discovery", "refresh")]
        place.changed(listing("a", "b"))
        assert len(world.told) == 1
        assert len(place.times) == 1


async def test_a_watch_begins_with_the_first_list_and_only_once() -> None:
    place = Telling(acts=[DOWN, listing("a")])
    async with running(place):
        assert place.watching == 0
        await asyncio.sleep(310.0)
        assert len(place.times) == 3
        assert place.watching == 1
    assert place.watching == 0


async def test_a_watch_that_fails_is_begun_anew_by_the_next_list() -> None:
    class Failing(Telling):
        begun = 0

        async def watch(self, changed: Callable[[Listing], None], stale: Callable[[], None]) -> None:
            self.begun += 1
            raise RuntimeError("s3cr3t")

    place = Failing(acts=[listing("a")])
    async with running(place):
        await asyncio.sleep(310.0)
        assert place.begun == 2


async def test_a_stale_watch_has_a_new_list_at_once() -> None:
    place = Telling(acts=[listing("a"), listing("b")])
    async with running(place) as world:
        await asyncio.sleep(50.0)
        place.stale()
        await asyncio.sleep(0.01)
        assert world.names == ["b"]
        assert place.times == pytest.approx([0.0, 50.0], abs=0.1)


async def test_K8S5_a_watch_that_is_stale_again_and_again_is_no_hot_loop() -> None:
    """Each new list comes later than the one before; after a quiet time the first comes at once again."""

    class Stale(Telling):
        async def watch(self, changed: Callable[[Listing], None], stale: Callable[[], None]) -> None:
            self.stale = stale
            await asyncio.Event().wait()

        async def list(self) -> Listing:
            asyncio.get_running_loop().call_later(0.001, lambda: self.stale())
            return await super().list()

    place = Stale(acts=[listing("a")])
    async with running(place):
        await asyncio.sleep(60.0)
        assert place.times == pytest.approx([0.0, 0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 55.0], abs=0.2)
        place.stale = lambda: None
        place.acts = [listing("a")]
        assert len(place.times) <= 20


async def test_stale_during_a_refresh_makes_another_one_follow() -> None:
    """The list under way may have been too early."""
    place = Telling(acts=[listing("a"), 10.0, listing("b")])
    async with running(place) as world:
        world.discovery.ask()
        await asyncio.sleep(5.0)
        place.stale()
        await asyncio.sleep(6.0)
        assert place.times == pytest.approx([0.0, 0.0, 10.0], abs=0.1)
        assert world.names == ["b"]


async def test_other_origins_take_effect_without_a_pause_and_kept_ones_go_on() -> None:
    kept = Telling(acts=[listing("a")])
    old = Telling("file", [listing("b", origin="file")])
    async with running(kept, old) as world:
        fresh = Place("file", [5.0, listing("c", origin="file")])
        world.discovery.configure([Static([target("s", "static")]), kept, fresh], RULES)
        assert world.names == ["s", "b", "a"]
        await asyncio.sleep(1.0)
        assert (old.watching, old.closed) == (0, 1)
        assert world.names == ["s", "b", "a"], "until there is something newer"
        await asyncio.sleep(5.0)
        assert world.names == ["s", "a"]
        assert kept.watching == 1
        assert len(fresh.times) == 1


async def test_origins_changed_during_a_refresh_join_it() -> None:
    slow = Place(acts=[20.0])
    async with running(slow) as world:
        fresh = Place("file", [listing("a", origin="file")])
        world.discovery.configure([slow, fresh], RULES)
        await asyncio.sleep(1.0)
        assert world.names == ["a"]
        assert world.detail.state is RefreshState.IN_PROGRESS
        await asyncio.sleep(20.0)
        assert (len(slow.times), len(fresh.times)) == (1, 1)


async def test_an_origin_taken_away_during_a_refresh_does_not_hold_it_up() -> None:
    slow = Place(acts=[20.0])
    async with running(slow) as world:
        world.discovery.configure([Static([])], RULES)
        await asyncio.sleep(1.0)
        assert world.detail.state is RefreshState.SUCCESS
        assert slow.at_once == 0


async def test_changed_rules_count_from_now_on() -> None:
    place = Place(acts=[listing("a")])
    async with running(place) as world:
        await asyncio.sleep(10.0)
        world.discovery.configure([place], RefreshRules(interval=60.0))
        await asyncio.sleep(100.0)
        assert place.times == pytest.approx([0.0, 10.0, 70.0], abs=0.1)


async def test_origins_can_be_set_before_there_is_anything_to_let_go() -> None:
    world = World()
    world.discovery.configure([Static([target("a", "static")])], RULES)
    world.discovery.configure([Static([target("b", "static")])], RULES)
    assert world.names == ["b"]
    await world.discovery.refresh()
    await world.discovery.close()


async def test_a_changed_file_is_read_while_a_refresh_waits_for_others(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("1")
    near = Place("file", [listing("a", origin="file"), listing("b", origin="file")], [file])
    far = Place(acts=[25.0])
    async with running(near, far) as world:
        assert world.names == ["a"]
        file.write_text("2")
        await asyncio.sleep(5.0)
        assert world.names == ["b"]
        assert len(far.times) == 1


async def test_a_changed_file_between_two_refreshes_makes_one_of_all_origins(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("1")
    near = Place("file", [listing("a", origin="file")], [file])
    far = Place(acts=[listing("b")])
    async with running(near, far) as world:
        await asyncio.sleep(10.0)
        file.write_text("2")
        await asyncio.sleep(5.0)
        assert (len(near.times), len(far.times)) == (2, 2)
        assert world.detail.state is RefreshState.SUCCESS
