"""Hands snapshots to those who only read them; a slow reader loses whole snapshots and holds up nobody."""

from __future__ import annotations

import asyncio

from exporter.model.snapshot import Snapshot


class Subscription:
    """The snapshots published since; the newest replaces one that was not fetched in time."""

    def __init__(self, feed: SnapshotFeed) -> None:
        self._feed = feed
        self._next: Snapshot | None = None
        self._arrived = asyncio.Event()
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
            await self._arrived.wait()
            self._arrived.clear()
        snapshot, self._next = self._next, None
        self._arrived.clear()
        return snapshot

    def close(self) -> None:
        """Ends the subscription."""
        self._feed.forget(self)


class SnapshotFeed:
    """The current snapshot and whoever wants the next."""

    def __init__(self) -> None:
        self._current: Snapshot | None = None
        self._subscriptions: set[Subscription] = set()

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
