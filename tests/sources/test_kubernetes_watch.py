"""Watches: seen at once, resumed after whatever happens, and never in a hurry."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.policy import AddressPolicy
from exporter.sources.kubernetes import Cluster, ClusterOptions, Limits
from tests.fakes.clock import RealClock
from tests.fakes.kubernetes import faults, shapes
from tests.fakes.kubernetes.api import KubernetesApi
from tests.sources.clusters import LABELS, PLACE, Follower, Pauses, cluster_of, config, fill, names


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi() as running:
        running.namespace(PLACE)
        yield running


@asynccontextmanager
async def following(
    api: KubernetesApi, tmp_path: Path, *namespaces: str, relist: bool = True, **how: object
) -> AsyncIterator[Follower]:
    cluster = cluster_of(api.kubeconfig(tmp_path / "kubeconfig"), *namespaces, **how)  # type: ignore[arg-type]
    try:
        async with Follower(cluster, relist).following() as follower:
            yield follower
    finally:
        await cluster.close()


async def live(api: KubernetesApi, follower: Follower, watches: int = 1) -> None:
    await follower.until(lambda: api.watches == watches)


async def test_a_secret_is_seen_when_it_is_added_changed_and_deleted(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        began = time.monotonic()
        fill(api, ["two"])
        await follower.sees("one", "two")
        api.put(PLACE, "two", config("two", url="https://new.example/"), LABELS)
        await follower.until(lambda: follower.latest.targets[1].shown == "https://new.example")
        api.put(PLACE, "two", config("two", enabled=False), LABELS)
        await follower.until(lambda: not follower.latest.targets[1].enabled)
        api.put(PLACE, "two", {"config": "{"}, LABELS)
        await follower.until(lambda: [invalid.document for invalid in follower.latest.invalid] == ["alerts/two"])
        api.delete(PLACE, "two")
        await follower.until(lambda: follower.latest.invalid == ())
        api.patch(PLACE, "one", labels={"publishing-target": None})
        await follower.sees()
        assert time.monotonic() - began < 2.0
    assert len(api.requests.of("list")) == 1
    assert len(api.requests.of("watch")) == 1


async def test_the_watch_goes_on_from_the_version_of_the_list(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    listed = api.version
    async with following(api, tmp_path) as follower:
        await live(api, follower)
    (asked,) = api.requests.of("watch")
    assert asked.query == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "labelSelector": "publishing-target=true",
        "resourceVersion": str(listed),
        "timeoutSeconds": asked.query["timeoutSeconds"],
    }
    assert 180 <= int(asked.query["timeoutSeconds"]) <= 240


async def test_each_namespace_has_a_watch_of_its_own(api: KubernetesApi, tmp_path: Path) -> None:
    api.namespace("other")
    async with following(api, tmp_path, PLACE, "other") as follower:
        await live(api, follower, 2)
        fill(api, ["here"])
        fill(api, ["there"], "other")
        fill(api, ["nowhere"], "third")
        await follower.sees("here", "there")


async def test_without_namespaces_the_watch_waits_until_it_is_cancelled() -> None:
    cluster = Cluster(ClusterOptions(()), AddressPolicy(), RealClock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await cluster.watch(lambda listing: None, lambda: None)


async def test_a_burst_of_changes_is_told_in_a_few_words(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        fill(api, [f"t{number:04}" for number in range(1_000)])
        await follower.until(lambda: len(follower.latest.targets) == 1_000)
        assert follower.told < 200


async def test_a_change_that_makes_no_difference_is_not_told(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        api.patch(PLACE, "one", labels={"team": "ours"})
        fill(api, ["two"])
        await follower.sees("one", "two")
        assert follower.told == 1


async def test_a_bookmark_moves_the_version_on(api: KubernetesApi, tmp_path: Path) -> None:
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        await live(api, follower)
        fill(api, ["elsewhere"], "other")
        marked = api.version
        api.bookmark()
        fill(api, ["elsewhere2"], "other")
        api.end_watches()
        await follower.until(lambda: len(api.requests.of("watch")) == 2)
        assert api.requests.of("watch")[1].query["resourceVersion"] == str(marked)
        assert follower.told == 0


@pytest.mark.parametrize("how", ["end_watches", "drop_watches"])
async def test_what_happens_between_two_watches_is_not_lost(api: KubernetesApi, tmp_path: Path, how: str) -> None:
    fill(api, ["one", "two"])
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.fail(faults.refuses(500), "watch", times=2)
        getattr(api, how)()
        api.delete(PLACE, "one")
        fill(api, ["three"])
        await follower.sees("two", "three")
        assert len(api.requests.of("list")) == 1


async def test_a_watch_that_lived_long_is_begun_again_at_once(api: KubernetesApi, tmp_path: Path) -> None:
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        for name in ("a", "b", "c"):
            await live(api, follower)
            fill(api, [name])
            await follower.until(lambda name=name: name in names(follower.latest))  # type: ignore[misc]
            pauses.clock.advance(240.0)
            api.end_watches()
            await follower.until(lambda: not api.watches)
        await live(api, follower)
    assert len(api.requests.of("watch")) == 4
    assert pauses.taken == []


async def test_a_version_that_is_too_old_at_the_start_leads_to_a_list(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one", "two"])
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.fail(faults.refuses(410), "watch", times=2)
        api.drop_watches()
        api.delete(PLACE, "one")
        fill(api, ["three"])
        await follower.sees("two", "three")
        await follower.until(lambda: follower.stale == 2)
        await live(api, follower)


async def test_a_version_that_is_too_old_in_the_stream_leads_to_a_list(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one", "two"])
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.expire_watches()
        api.delete(PLACE, "one")
        fill(api, ["three"])
        await follower.sees("two", "three")
        assert follower.stale == 1
        assert sorted(names(follower.latest)) == ["three", "two"]


async def test_the_watch_waits_for_the_list_it_asked_for(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    async with following(api, tmp_path, pauses=Pauses(), relist=False) as follower:
        await live(api, follower)
        api.expire_watches()
        await follower.until(lambda: follower.stale == 1)
        api.fail(faults.refuses(500), "list", times=1)
        with pytest.raises(Failure):
            await follower.cluster.list()
        await asyncio.sleep(0.05)
        assert len(api.requests.of("watch")) == 1
        assert names(follower.latest) == ["one"]
        await follower.cluster.list()
        await live(api, follower)
        fill(api, ["two"])
        await follower.sees("one", "two")
    assert follower.stale == 1


async def test_an_error_that_passes_is_waited_out_without_a_list(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        await live(api, follower)
        api.say(shapes.event("ERROR", shapes.status(500, "etcdserver: leader changed")))
        await follower.until(lambda: pauses.taken == [1.0])
        fill(api, ["two"])
        await follower.sees("one", "two")
        assert follower.stale == 0


async def test_an_error_that_nobody_knows_leads_to_a_list(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.say(shapes.event("ERROR", shapes.status(400, "what?")))
        await follower.until(lambda: follower.stale == 1)


@pytest.mark.parametrize(
    "line",
    [
        faults.MALFORMED,
        b"<html>\n",
        b'{"type":"ADDED","object":[]}\n',
        b'{"type":"ADDED","object":{"kind":"Secret"}}\n',
    ],
    ids=["cut", "html", "list", "bare"],
)
async def test_a_line_that_cannot_be_read_leads_to_a_list(api: KubernetesApi, tmp_path: Path, line: bytes) -> None:
    fill(api, ["one"])
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.say(line)
        await follower.until(lambda: follower.stale == 1)
        await live(api, follower)
        fill(api, ["two"])
        await follower.sees("one", "two")


async def test_an_event_of_an_unknown_type_is_skipped(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        api.say(faults.UNKNOWN_EVENT)
        api.say(b"\n")
        fill(api, ["two"])
        await follower.sees("two")
        assert (follower.stale, len(api.requests.of("watch"))) == (0, 1)


async def test_a_line_without_end_is_given_up_within_its_limit(api: KubernetesApi, tmp_path: Path) -> None:
    limits = Limits(body=1 << 20)
    async with following(api, tmp_path, pauses=Pauses(), limits=limits) as follower:
        await live(api, follower)
        api.fail(faults.says_long_line(), "watch", times=1)
        api.drop_watches()
        await follower.until(lambda: follower.stale == 1)
        await live(api, follower)


async def test_what_came_before_the_end_of_a_watch_counts(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        fill(api, ["one"])
        await follower.sees("one")
        api.fail(faults.refuses(500), "watch")
        api.end_watches()
        fill(api, ["two"])
        api.heal()
        await follower.sees("one", "two")


async def test_a_list_interrupts_the_watch_and_it_goes_on_from_there(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        await live(api, follower)
        fill(api, ["two"], "other")
        version = api.version
        await follower.cluster.list()
        await follower.until(lambda: len(api.requests.of("watch")) == 2)
        assert api.requests.of("watch")[1].query["resourceVersion"] == str(version)
        await live(api, follower)
        fill(api, ["three"])
        await follower.sees("one", "three")
        assert (follower.stale, pauses.taken) == (0, [])


async def test_while_a_list_is_under_way_nothing_older_overtakes_it(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        api.fail(faults.slow(0.3), "list", times=1)
        listing = asyncio.create_task(follower.cluster.list())
        await follower.until(lambda: len(api.requests.of("list")) == 2)
        fill(api, ["one"])
        follower.latest = await listing
        assert (names(follower.latest), follower.told) == (["one"], 0)
        await live(api, follower)
        api.delete(PLACE, "one")
        await follower.sees()
        assert follower.told == 1


async def test_after_a_list_that_failed_the_watch_goes_on_from_where_it_was(api: KubernetesApi, tmp_path: Path) -> None:
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        api.fail(faults.refuses(500), "list", times=1)
        with pytest.raises(Failure):
            await follower.cluster.list()
        fill(api, ["one"])
        await follower.sees("one")


@pytest.mark.parametrize(
    "fault",
    [faults.ends_at_once, faults.drops, faults.refuses(500), faults.refuses(410), faults.says(faults.GONE)],
    ids=["ends", "drops", "500", "410", "gone"],
)
async def test_a_watch_that_fails_every_time_asks_at_most_twenty_times_a_minute(
    api: KubernetesApi, tmp_path: Path, fault: faults.Fault
) -> None:
    api.fail(fault, "watch")
    pauses = Pauses(enough=60.0, chance=1.0)
    async with following(api, tmp_path, pauses=pauses) as follower:
        await follower.until(lambda: pauses.over)
    assert pauses.taken == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert len(api.requests) <= 20
    assert len(api.requests.of("watch")) == len(pauses.taken)


async def test_many_namespaces_ask_no_more_often_than_one(api: KubernetesApi, tmp_path: Path) -> None:
    api.fail(faults.refuses(500), "watch")
    pauses = Pauses()
    async with following(api, tmp_path, "a", "b", "c", pauses=pauses) as follower:
        await follower.until(lambda: len(pauses.taken) >= 9)
    assert min(pauses.taken) == 3.0
    assert pauses.taken.count(3.0) == 3


async def test_a_watch_that_is_forbidden_is_tried_again_seldom_and_told_once(
    api: KubernetesApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.fail(faults.refuses(403), "watch")
    fill(api, ["one"])
    pauses = Pauses()
    with caplog.at_level(logging.WARNING, logger="exporter"):
        async with following(api, tmp_path, pauses=pauses) as follower:
            await follower.until(lambda: len(pauses.taken) >= 3)
            fill(api, ["two"])
            assert names(await follower.cluster.list()) == ["one", "two"]
            api.heal()
            await live(api, follower)
    assert set(pauses.taken) == {30.0}
    (record,) = caplog.records
    assert record.message == "watch failed, changes are seen at the next refresh"
    assert record.fields["namespace"] == PLACE  # type: ignore[attr-defined]
    assert record.fields["reason"] == "auth"  # type: ignore[attr-defined]
    assert record.fields["detail"].startswith("not allowed to watch secrets in the namespace alerts")  # type: ignore[attr-defined]


async def test_a_pause_the_server_asks_for_is_kept_by_the_watch(api: KubernetesApi, tmp_path: Path) -> None:
    api.fail(faults.refuses(429, retry_after=45), "watch", times=1)
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        await live(api, follower)
        assert pauses.taken == [45.0]


async def test_a_watch_that_has_fallen_silent_ends_when_its_time_is_over(api: KubernetesApi, tmp_path: Path) -> None:
    pauses = Pauses()
    fill(api, ["one"])
    async with following(api, tmp_path, pauses=pauses, limits=Limits(watch=1.0, grace=0.2)) as follower:
        await live(api, follower)
        api.silence_watches()
        fill(api, ["two"])
        await follower.sees("one", "two")
    assert follower.stale == 0


async def test_after_a_server_that_went_silent_everything_is_seen_again(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    limits = Limits(watch=1.0, grace=0.2, timeout=0.3)
    async with following(api, tmp_path, pauses=Pauses(), limits=limits) as follower:
        await live(api, follower)
        api.half_open()
        api.delete(PLACE, "one")
        with pytest.raises(Failure) as caught:
            await follower.cluster.list()
        assert caught.value.reason is Reason.TIMEOUT
        api.heal()
        fill(api, ["two"])
        await follower.sees("two")


async def test_after_a_restart_of_the_server_everything_is_seen_again(api: KubernetesApi, tmp_path: Path) -> None:
    fill(api, ["one"])
    pauses = Pauses()
    async with following(api, tmp_path, pauses=pauses) as follower:
        await live(api, follower)
        api.stop()
        await follower.until(lambda: len(pauses.taken) >= 2)
        api.start()
        api.delete(PLACE, "one")
        fill(api, ["two"])
        await follower.sees("two")
        assert follower.stale == 0


async def test_after_a_restart_that_forgot_all_versions_everything_is_seen_again(
    api: KubernetesApi, tmp_path: Path
) -> None:
    fill(api, ["one"])
    async with following(api, tmp_path, pauses=Pauses()) as follower:
        await live(api, follower)
        api.stop()
        api.delete(PLACE, "one")
        fill(api, ["two"])
        api.forget_history()
        api.start()
        await follower.sees("two")
        assert follower.stale >= 1
        await live(api, follower)


async def test_a_watch_that_is_cancelled_ends_at_once(api: KubernetesApi, tmp_path: Path) -> None:
    began = 0.0
    async with following(api, tmp_path) as follower:
        await live(api, follower)
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    while api.watches:
        await asyncio.sleep(0.01)
