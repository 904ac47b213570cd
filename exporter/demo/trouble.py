"""Receivers in trouble: now and then, by the clock, or because somebody wants to see what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from aiohttp import web

from exporter.demo.receivers import Handler, Schedule

HANG = 10.0  # seconds; longer than anybody waits, and no request is held for ever
CONTROL = "/-/"


def flaky(handle: Handler, statuses: Sequence[int], share: float, seed: int) -> Handler:
    """Answers a share of what is sent to it with one of these statuses; whoever only looks sees nothing of it."""
    random = Random(seed)  # noqa: S311  # reproducible on purpose

    async def answer(request: web.Request) -> web.Response:
        if request.method != "GET" and random.random() < share:
            return web.Response(status=random.choice(statuses))
        return await handle(request)

    return answer


def hanging(handle: Handler, schedule: Schedule, monotonic: Callable[[], float]) -> Handler:
    """Accepts connections and lets whoever sends something wait, by the schedule from now on."""
    started = monotonic()

    async def answer(request: web.Request) -> web.Response:
        if request.method != "GET" and schedule.failing(monotonic() - started):
            await asyncio.sleep(HANG)
        return await handle(request)

    return answer


class Switch:
    """A receiver anybody can break and heal: by these methods, or by POST to `/-/break`, `/-/hang` and `/-/heal`."""

    def __init__(self, handle: Handler) -> None:
        self._well = handle
        self._answer = handle

    async def handle(self, request: web.Request) -> web.Response:
        if not request.path.startswith(CONTROL):
            return await self._answer(request)
        orders = {"break": self.break_down, "hang": self.hang, "heal": self.heal}
        order = orders.get(request.path.removeprefix(CONTROL))
        if order is None:
            return web.Response(status=404)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        order()
        return web.Response(status=204)

    def break_down(self) -> None:
        """From now on every answer is a failure."""
        self._answer = _unavailable

    def hang(self) -> None:
        """From now on there is no answer anybody would wait for."""
        self._answer = _no_answer

    def heal(self) -> None:
        """All is well again."""
        self._answer = self._well


async def _unavailable(request: web.Request) -> web.Response:
    return web.Response(text="broken on purpose", status=503)


async def _no_answer(request: web.Request) -> web.Response:
    await asyncio.sleep(HANG)
    return web.Response(text="broken on purpose", status=503)
