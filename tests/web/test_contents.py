from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from exporter.web import contents
from tests.web.conftest import Running, found, picture, serving
from tests.web.standings import standing

T = TypeVar("T")

TARGETS = "/api/v2/publishing/targets"
PATHS = (TARGETS, f"{TARGETS}/ops", f"{TARGETS}/status", f"{TARGETS}/health", f"{TARGETS}/health/ops",
         f"{TARGETS}/health/stats", "/sd/targets")  # fmt: skip
FIGURES = "/api/v2/publishing"


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_is_known_is_not_sent_again(site: Running, path: str) -> None:
    site.feed.publish(found(1, picture("ops")))
    async with site.client.get(site.url(path)) as first:
        tag = first.headers["ETag"]
        assert await first.read()
    site.feed.publish(found(2, picture("ops")))
    site.clock.passed = 30.0
    for sent in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
        async with site.client.get(site.url(path), headers={"If-None-Match": sent}) as same:
            assert (same.status, same.headers["ETag"], await same.read()) == (304, tag, b"")
    for sent in ('"x"', "", "x", tag[:-2], f"{tag[:-1]}\\", '"' * 500):
        async with site.client.get(site.url(path), headers={"If-None-Match": sent}) as whole:
            assert whole.status == 200


@pytest.mark.parametrize("path", [path for path in PATHS if not path.endswith("status")])
async def test_a_change_of_the_targets_changes_the_tag(site: Running, path: str) -> None:
    tags = set()
    for number, snapshot in enumerate(
        (found(1, picture("ops")), found(2, picture("ops", enabled=False, type="slack")))
    ):
        site.feed.publish(replace(snapshot, id=number))
        async with site.client.get(site.url(path)) as answer:
            tags.add(answer.headers["ETag"])
    assert len(tags) == 2


async def test_the_age_is_that_of_the_moment_and_never_negative(site: Running) -> None:
    site.feed.publish(found(9, picture("ops")))
    for passed, age in ((0.0, 4.0), (1.5, 5.5), (-60.0, 0.0)):
        site.clock.passed = passed
        answer = json.loads((await site.get(TARGETS))[1])
        assert (answer["snapshot_id"], answer["age_seconds"]) == (9, age)


async def test_head_tells_the_length_alone(site: Running) -> None:
    site.feed.publish(found(1, picture("ops")))
    for path in PATHS:
        length = len((await site.get(path))[1].encode())
        async with site.client.head(site.url(path)) as head:
            assert (head.status, int(head.headers["Content-Length"]), await head.read()) == (200, length, b"")


async def test_a_list_is_put_together_once_a_snapshot(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = contents.Content

    def content(answer: object) -> contents.Content:
        made.append(answer)
        return real(answer)

    monkeypatch.setattr(contents, "Content", content)
    site.feed.publish(found(1, *(picture(f"t{number}") for number in range(1000))))
    for _ in range(3):
        await site.get(TARGETS)
        await site.get(f"{TARGETS}?limit=5")
    assert len(made) == 2
    site.feed.publish(found(2))
    await site.get(TARGETS)
    assert len(made) == 3


async def test_of_answers_to_made_up_queries_a_few_are_kept(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    site.feed.publish(found(1, picture("ops")))
    kept = contents.Contents(site.site)
    made: list[int] = []

    class Request:
        if_none_match = None

    for number in (*range(20), 19, 0):
        kept.answer(Request(), number, lambda snapshot, number=number: made.append(number))  # type: ignore[arg-type, misc]
    assert made == [*range(20), 0]
    assert len(kept._kept) <= 8


async def test_a_thousand_targets_are_answered_in_a_few_milliseconds(site: Running) -> None:
    site.feed.publish(found(1, *(picture(f"t{number}") for number in range(1000))))
    for path in PATHS:
        path = path.replace("ops", "t999")
        begin = time.process_time()
        for _ in range(20):
            assert (await site.get(path))[0] == 200
        assert (time.process_time() - begin) / 20 < 0.02, path


class Slow:
    """Puts answers together when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = 0

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        return self._later(call)

    async def _later(self, call: Callable[[], T]) -> T:
        self.begun += 1
        await self.go.wait()
        return call()


async def test_who_waits_for_an_answer_gets_that_of_the_snapshot_there_was_when_he_asked() -> None:
    """And it does not stand for the newer one."""
    slow = Slow()
    async with serving(offload=slow) as site:
        site.feed.publish(standing(1))
        waiting = asyncio.create_task(site.get(FIGURES + "/stats"))
        while not slow.begun:
            await asyncio.sleep(0.001)
        site.feed.publish(standing(2))
        second = asyncio.create_task(site.get(FIGURES + "/stats"))
        while slow.begun < 2:
            await asyncio.sleep(0.001)
        slow.go.set()
        assert json.loads((await waiting)[1])["snapshot_id"] == 1
        assert json.loads((await second)[1])["snapshot_id"] == 2
        assert json.loads((await site.get(FIGURES + "/stats"))[1])["snapshot_id"] == 2
        assert slow.begun == 2


async def test_only_so_many_answers_are_put_together_at_once() -> None:
    slow = Slow()
    async with serving(offload=slow) as site:
        site.feed.publish(standing(1))
        waiting = [asyncio.create_task(site.get(f"{FIGURES}/stats?offset={number}")) for number in range(8)]
        while slow.begun < 8:
            await asyncio.sleep(0.001)
        status, body = await site.get(f"{FIGURES}/stats?offset=9")
        assert (status, json.loads(body)["error"]["code"]) == (503, "busy")
        slow.go.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
        for number in range(8, 12):
            assert (await site.get(f"{FIGURES}/stats?offset={number}"))[0] == 200


async def test_whoever_goes_away_costs_the_others_nothing() -> None:
    slow = Slow()
    async with serving(offload=slow) as site:
        site.feed.publish(standing(1))
        first, second = (asyncio.create_task(site.get(FIGURES + "/stats")) for _ in range(2))
        while not slow.begun:
            await asyncio.sleep(0.001)
        first.cancel()
        slow.go.set()
        assert (await second)[0] == 200
        assert slow.begun == 1
