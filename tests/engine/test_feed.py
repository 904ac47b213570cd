"""Snapshots for those who read them: whole, newest first, and nobody is waited for."""

from __future__ import annotations

import asyncio
import gc

import pytest

from exporter.engine.feed import SnapshotFeed, Subscription
from exporter.model.snapshot import Snapshot


def snapshot(id: int) -> Snapshot:
    return Snapshot(id, 0.0, 0.0, 0.0, 0.0, {}, {}, {}, ())


async def test_a_subscriber_gets_every_snapshot_it_fetches_in_time() -> None:
    feed = SnapshotFeed()
    subscription = feed.subscribe()
    found = []
    for id in (1, 2):
        feed.publish(snapshot(id))
        found.append((await anext(subscription)).id)
    assert found == [1, 2]
    assert subscription.lost == 0


async def test_a_slow_subscriber_loses_whole_snapshots_and_gets_the_newest() -> None:
    feed = SnapshotFeed()
    slow, other = feed.subscribe(), feed.subscribe()
    for id in (1, 2, 3):
        feed.publish(snapshot(id))
        await anext(other)
    assert (await anext(slow)).id == 3
    assert (slow.lost, other.lost) == (2, 0)


async def test_a_subscriber_waits_for_the_next_and_does_not_get_the_last() -> None:
    feed = SnapshotFeed()
    assert feed.current() is None
    feed.publish(snapshot(1))
    subscription = feed.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.publish(snapshot(2))
    assert (await waiting).id == 2
    current = feed.current()
    assert current is not None
    assert current.id == 2


async def test_closing_ends_the_wait_after_what_has_come() -> None:
    feed = SnapshotFeed()
    subscription = feed.subscribe()
    feed.publish(snapshot(1))
    subscription.close()
    feed.publish(snapshot(2))
    assert [item.id async for item in subscription] == [1]
    other = feed.subscribe()
    waiting = asyncio.ensure_future(anext(other))
    await asyncio.sleep(0)
    other.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_subscriber_that_walks_away_is_forgotten() -> None:
    feed = SnapshotFeed()
    feed.publish(snapshot(1))

    async def once() -> None:
        async for _ in feed.subscribe():
            return

    task = asyncio.ensure_future(once())
    await asyncio.sleep(0)
    feed.publish(snapshot(2))
    await task
    gc.collect()
    assert not [item for item in gc.get_objects() if isinstance(item, Subscription)]
