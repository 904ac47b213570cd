"""Hands snapshots to those who only read them; a slow reader loses whole snapshots and holds up nobody."""

from __future__ import annotations

import asyncio
from weakref import WeakSet

from exporter.model.snapshot import Snapshot


class Subscription:
    """The snapshots published since; the newest replaces one that was not fetched in time."""

    def __init__(self, feed: SnapshotFeed) -> None:
        self._feed = feed
        self._next: Snapshot | None = None
        self._arrived = asyncio.Event()
        self._closed = False
        self.lost = 0

    def offer(self, snapshot: Snapshot) -> None:
        """Called by the feed."""
        if self._next is not None:
            self.lost += 1
        self._next = snapshot
        self._arrived.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Snapshot:
        while self._next is None:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        snapshot, self._next = self._next, None
        return snapshot

    def close(self) -> None:
        """Ends the subscription, also for who is waiting on it; what has come already can still be fetched."""
        self._feed.forget(self)
        self._closed = True
        self._arrived.set()


class SnapshotFeed:
    """The current snapshot and whoever wants the next."""

    def __init__(self) -> None:
        self._current: Snapshot | None = None
        # Weakly: who walks out of an `async for` has no chance to say so.
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    def current(self) -> Snapshot | None:
        return self._current

    def subscribe(self) -> Subscription:
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def publish(self, snapshot: Snapshot) -> None:
        """Swaps the snapshot in: from here on every reader sees this one, whole."""
        self._current = snapshot
        for subscription in self._subscriptions:
            subscription.offer(snapshot)
