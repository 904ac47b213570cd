"""Names to addresses: cached, shared, bounded, and never in the way of others."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources import resolver as module
from exporter.sources.resolver import Resolver
from tests.fakes.clock import ManualClock

T = TypeVar("T")


class Names:
    """Stands for the pool: answers when the test lets it, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.dropped = 0
        self.answer: Any = ("192.0.2.1", "2001:db8::1")
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, call: Callable[[], T]) -> Any:
        self.calls += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def names() -> Names:
    return Names()


async def addresses(resolver: Resolver, host: str = "h") -> list[str]:
    return list(await resolver.addresses(host))


async def test_a_name_is_resolved_by_the_system_on_the_pool() -> None:
    resolver = Resolver(DaemonPool("dns", 1), ManualClock())
    assert set(await resolver.addresses("localhost")) <= {"127.0.0.1", "::1"}
    for nowhere in ("nowhere.invalid", "a" * 300, ""):
        with pytest.raises(Failure) as caught:
            await resolver.addresses(nowhere + "\0" * (not nowhere))
        assert caught.value.reason is Reason.DNS


async def test_an_address_of_the_link_keeps_its_interface() -> None:
    assert module._text(("fe80::1", 0, 0, 2)) == "fe80::1%2"
    assert module._text(("2001:db8::1", 0, 0, 0)) == "2001:db8::1"


async def test_an_address_is_asked_for_nowhere(names: Names) -> None:
    resolver = Resolver(names, ManualClock())
    for literal in ("192.0.2.9", "2001:db8::9", "fe80::1%2"):
        assert await addresses(resolver, literal) == [literal]
    assert names.calls == 0
    assert await addresses(resolver, "127.1") == ["192.0.2.1", "2001:db8::1"], "what an odd spelling means, others say"


async def test_an_answer_is_remembered_for_a_moment(names: Names) -> None:
    clock = ManualClock()
    resolver = Resolver(names, clock)
    for _ in range(3):
        await addresses(resolver)
    clock.advance(9.9)
    await addresses(resolver)
    assert names.calls == 1
    clock.advance(0.2)
    await addresses(resolver)
    assert names.calls == 2


async def test_that_a_name_does_not_resolve_is_remembered_for_a_shorter_moment(names: Names) -> None:
    clock = ManualClock()
    resolver = Resolver(names, clock)
    names.answer = socket.gaierror(socket.EAI_AGAIN, "try again")
    for _ in range(3):
        with pytest.raises(Failure):
            await addresses(resolver)
    assert names.calls == 1
    clock.advance(2.1)
    names.answer = ("192.0.2.7",)
    assert await addresses(resolver) == ["192.0.2.7"]


async def test_however_many_want_a_name_it_is_asked_for_once(names: Names) -> None:
    resolver = Resolver(names, ManualClock())
    names.gate.clear()
    waiting = [asyncio.ensure_future(addresses(resolver)) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    names.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert names.calls == 1
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [["192.0.2.1", "2001:db8::1"]] * 49, "one who stops waiting costs the others nothing"


async def test_a_lookup_nobody_waits_for_is_dropped_and_can_be_made_again(names: Names) -> None:
    resolver = Resolver(names, ManualClock())
    names.gate.clear()
    waiting = asyncio.ensure_future(addresses(resolver))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.sleep(0)
    again = asyncio.ensure_future(addresses(resolver))
    await asyncio.sleep(0.01)
    assert names.dropped == 1
    names.gate.set()
    assert await again
    assert names.calls == 2
    assert not resolver._under_way


async def test_what_is_remembered_is_bounded(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 10)
    resolver = Resolver(names, ManualClock())
    for number in range(100):
        await addresses(resolver, f"h{number}")
    assert list(resolver._known) == [f"h{number}" for number in range(90, 100)]


async def test_closing_ends_what_is_under_way(names: Names) -> None:
    resolver = Resolver(names, ManualClock())
    names.gate.clear()
    waiting = asyncio.ensure_future(addresses(resolver))
    await asyncio.sleep(0.01)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_name_that_hangs_does_not_hold_up_another() -> None:
    pool = DaemonPool("dns", 2)
    release = threading.Event()
    hung = asyncio.ensure_future(pool(release.wait))
    resolver = Resolver(pool, ManualClock())
    assert await addresses(resolver, "localhost")
    release.set()
    await hung
