"""Receivers fail for those who send, by chance, by the clock and by hand."""

from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import pytest

from exporter.demo import trouble
from exporter.demo.receivers import Receivers, Schedule, webhook
from exporter.demo.trouble import Switch, flaky, hanging


@pytest.fixture
async def running() -> AsyncIterator[Receivers]:
    started = Receivers()
    yield started
    await started.close()


async def ask(port: int, method: str = "POST", path: str = "/") -> int:
    async with aiohttp.ClientSession() as session, session.request(method, f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status


async def test_a_flaky_receiver_fails_the_same_way_for_the_same_seed_and_never_for_a_probe(running: Receivers) -> None:
    ports = [await running.serve(flaky(webhook, (401, 503), 0.5, 3)) for _ in range(2)]
    found = [[await ask(port) for _ in range(20)] for port in ports]
    assert found[0] == found[1]
    assert set(found[0]) == {200, 401, 503}
    assert {await ask(ports[0], "GET") for _ in range(10)} == {405}


async def test_a_hanging_receiver_answers_probes_and_lets_senders_wait(
    running: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "HANG", 0.2)
    now = 0.0
    port = await running.serve(hanging(webhook, Schedule(works=40, fails=20), lambda: now))
    assert await ask(port) == 200
    now = 20.0
    timeout = aiohttp.ClientTimeout(total=0.1)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        with pytest.raises(TimeoutError):
            await session.post(f"http://127.0.0.1:{port}/")
    assert await ask(port, "GET") == 405
    assert await ask(port) == 200  # late, but it does answer: nothing is held for ever


async def test_a_switch_breaks_and_heals_for_whoever_posts(running: Receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "HANG", 0.05)
    port = await running.serve(Switch(webhook).handle)
    seen = [await ask(port)]
    for order in ("break", "heal", "hang", "heal"):
        assert await ask(port, "POST", f"/-/{order}") == 204
        seen.append(await ask(port))
    assert seen == [200, 503, 200, 503, 200]
    assert all(one != other for one, other in pairwise(seen))


async def test_a_switch_takes_orders_by_post_only_and_none_it_does_not_know(running: Receivers) -> None:
    port = await running.serve(Switch(webhook).handle)
    assert await ask(port, "GET", "/-/break") == 405
    assert await ask(port, "POST", "/-/explode") == 404
    assert await ask(port) == 200
