"""When canaries leave, what is waited for, and what a change of the configuration keeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from exporter.config.schema import PublishingService
from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources import canary as module
from exporter.sources.canary import Canaries
from exporter.sources.canary_alert import alerts
from exporter.sources.http import Request
from exporter.sources.reply import Reply
from exporter.sources.resolver import Resolver

pytestmark = pytest.mark.looptime

TOKEN = "the-token-of-the-canary"
T = TypeVar("T")
DOWN = Failure(Reason.CONNECT, "connection refused")


class LoopClock:
    """The loop's own time, which looptime moves."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1e9 + self.monotonic()


class Post:
    """In the place of the client: notes what is sent and when, and brings it back after a while."""

    def __init__(self) -> None:
        self.back: float | None = 0.5
        self.failure: Exception | None = None
        self.sent: list[tuple[float, str]] = []
        self.requests: list[Request] = []
        self.canaries: Canaries
        self.tls: Any = None

    def __call__(self, *arguments: object, **more: object) -> Post:
        return self

    async def ask(self, request: Request, timeout: float, body: bool) -> Reply:
        (alert,) = msgspec.json.decode(request.content)
        id = alert["labels"]["canary_id"]
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time(), id))
        self.requests.append(request)
        if self.back is not None:
            loop.call_later(self.back, self.canaries.returned, ["am"], [id])
        if self.failure is not None:
            raise self.failure
        return Reply(status=200, latency=0.0)

    @property
    def times(self) -> list[float]:
        return [round(at, 3) for at, _ in self.sent]


def service(name: str = "am", /, **canary: Any) -> PublishingService:
    given: Any = {"name": name, "url": "http://am:9093/metrics", "dialect": "alertmanager"}
    return PublishingService.model_validate(
        {**given, "canary": {"token": TOKEN, "interval": "100s", "timeout": "10s", **canary}}
    )


async def at_once(call: Callable[[], T]) -> T:
    """Reads a file on no thread, whose time the loop of these tests does not know."""
    return call()


async def never(call: Callable[[], T]) -> T:
    """Reads from a file system that hangs."""
    hanging: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    return await hanging


@asynccontextmanager
async def flying(
    monkeypatch: pytest.MonkeyPatch, *services: PublishingService, luck: float = 0.0, files: Any = at_once
) -> AsyncIterator[tuple[Canaries, Post]]:
    post = Post()
    monkeypatch.setattr(module, "Client", post)
    clock = LoopClock()
    post.canaries = Canaries(Resolver(DaemonPool("names", 1), clock), clock, files, luck=lambda: luck)
    post.canaries.configure(services)
    try:
        yield post.canaries, post
    finally:
        await post.canaries.close()


def count(canaries: Canaries, family: str, upstream: str = "am") -> float | None:
    for samples in canaries.tally.meter.capture():
        if samples.family.name == f"canary_{family}":
            return {key: sum(numbers[:-1] or numbers) for key, numbers in samples.rows()}.get((upstream,))
    return None


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_one_leaves_in_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        await asyncio.sleep(301)
    assert post.times == [0.0, 100.0, 200.0, 300.0]
    assert len({id for _, id in post.sent}) == 4
    assert (count(canaries, "sent_total"), count(canaries, "lost_total")) == (4.0, 0.0)


async def test_many_daemons_do_not_send_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first leaves within seconds, the next ones up to a tenth earlier."""
    async with flying(monkeypatch, service(), luck=1.0) as (_, post):
        await asyncio.sleep(190)
    assert post.times == [5.0, 95.0, 185.0]


async def test_one_that_is_not_back_in_time_is_lost_and_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with flying(monkeypatch, service()) as (canaries, post):
        post.back = None
        await asyncio.sleep(9)
        assert count(canaries, "lost_total") == 0.0
        await asyncio.sleep(2)
        assert count(canaries, "lost_total") == 1.0
        await asyncio.sleep(200)
        assert count(canaries, "lost_total") == 3.0
        assert said(caplog) == ["a canary did not come back"]
        post.back = 1.0
        await asyncio.sleep(200)
    assert said(caplog)[1:] == ["canaries come back again"]
    assert count(canaries, "roundtrip_seconds") == 2.0


async def test_one_that_could_not_be_sent_is_waited_for_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        post.failure = DOWN
        await asyncio.sleep(50)
        assert (count(canaries, "lost_total"), count(canaries, "roundtrip_seconds")) == (0.0, 1.0)
        post.back = None
        await asyncio.sleep(100)
    assert count(canaries, "lost_total") == 1.0
    fields = caplog.records[0].__dict__["fields"]
    assert (fields["reason"], fields["detail"]) == (Reason.CONNECT, "connection refused")


async def test_one_that_is_late_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with flying(monkeypatch, service()) as (canaries, post):
        post.back = 15.0
        await asyncio.sleep(50)
    assert said(caplog) == ["a canary did not come back", "a canary came back late"]
    assert (count(canaries, "lost_total"), count(canaries, "roundtrip_seconds")) == (1.0, None)


async def test_whatever_goes_wrong_with_one_the_next_one_leaves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        monkeypatch.setattr(module, "alerts", lambda *arguments: 1 // 0)
        await asyncio.sleep(50)
        assert post.sent == []
        monkeypatch.setattr(module, "alerts", alerts)
        await asyncio.sleep(100)
    assert post.times == [100.0]
    assert caplog.records[0].__dict__["fields"]["detail"] == "ZeroDivisionError"
    assert count(canaries, "lost_total") == 1.0


async def test_a_service_of_which_nothing_changed_flies_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        await asyncio.sleep(0.1)
        canaries.configure([service()])
        await asyncio.sleep(150)
    assert post.times == [0.0, 100.0]
    assert count(canaries, "roundtrip_seconds") == 2.0


async def test_a_change_keeps_what_was_counted_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        await asyncio.sleep(1)
        post.back = None
        await asyncio.sleep(100)
        canaries.configure([service(labels={"team": "a"})])
        post.back = 0.5
        await asyncio.sleep(50)
        assert post.times == [0.0, 100.0, 101.0]
    assert (count(canaries, "sent_total"), count(canaries, "lost_total")) == (3.0, 0.0)
    assert b'"team":"a"' in post.requests[-1].content


async def test_one_that_is_taken_out_of_the_configuration_sends_no_more_and_has_no_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with flying(monkeypatch, service()) as (canaries, post):
        await asyncio.sleep(1)
        canaries.configure([service("other")])
        await asyncio.sleep(150)
        assert count(canaries, "sent_total") is None
        assert count(canaries, "sent_total", "other") == 2.0
        assert canaries.returned(["am"], [id for _, id in post.sent]) == 0
        canaries.configure([])
        assert not canaries.expecting
        assert len(post.sent) == 3
        await asyncio.sleep(300)
    assert len(post.sent) == 3


async def test_a_token_opens_to_those_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = service("same"), service("other", token="quite-another-token")
    async with flying(monkeypatch, service(), same, other) as (canaries, _):
        assert canaries.expecting
        assert canaries.holders(TOKEN.encode()) == ("am", "same")
        assert canaries.holders(b"quite-another-token") == ("other",)
        for wrong in (b"", TOKEN.encode()[:-1], TOKEN.encode() + b" ", "ü".encode(), b"\xff"):
            assert canaries.holders(wrong) == ()


async def test_without_a_canary_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Any = {"name": "am", "url": "http://am:9093/metrics", "dialect": "alertmanager"}
    async with flying(monkeypatch, PublishingService.model_validate(plain)) as (canaries, post):
        await asyncio.sleep(1000)
        assert not canaries.expecting
    assert post.sent == []
    assert canaries.tally.meter.capture() == ()


@pytest.mark.parametrize(("files", "reason"), [(at_once, Reason.CONFIG), (never, Reason.TIMEOUT)])
async def test_a_bearer_token_that_cannot_be_read_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, files: Any, reason: Reason
) -> None:
    watched = service().model_copy(update={"bearer_token_file": tmp_path / "gone"})
    async with flying(monkeypatch, watched, files=files) as (canaries, post):
        await asyncio.sleep(50)
        assert post.sent == []
        assert count(canaries, "lost_total") == 1.0
    assert caplog.records[0].__dict__["fields"]["reason"] is reason
