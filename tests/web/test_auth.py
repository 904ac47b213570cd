"""Basic authentication: who gets in, what it costs, and what an address may try."""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import bcrypt
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from exporter.engine.threads import DaemonPool
from exporter.model.secret import Secret
from exporter.web.answers import Refused
from exporter.web.auth import (
    AT_ONCE,
    AT_ONCE_IN_ALL,
    BURST,
    MOST_ADDRESSES,
    Attempts,
    BasicAuth,
    BcryptMissing,
    Compare,
    comparing,
)


def hashed(password: bytes, cost: int = 4) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


USERS = {"ann": hashed(b"open sesame"), "björn": hashed("pässword".encode()), "a": hashed(b"bc"), "ab": hashed(b"d")}


class Comparisons:
    """bcrypt's own, counted; held back while a test wants."""

    def __init__(self) -> None:
        self.number = 0
        self.most = 0
        self._running = 0
        self.gate = threading.Event()
        self.gate.set()
        self._compare = comparing()

    def __call__(self, password: bytes, hash: bytes) -> bool:
        self.number += 1
        self._running += 1
        self.most = max(self.most, self._running)
        assert self.gate.wait(10)
        try:
            return self._compare(password, hash)
        finally:
            self._running -= 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Door:
    """A BasicAuth with everything around it."""

    def __init__(self, users: Mapping[str, str] = USERS) -> None:
        self.compare = Comparisons()
        self.clock = Clock()
        self.attempts = Attempts(self.clock)
        secrets = {name: Secret(hash) for name, hash in users.items()}
        self.auth = BasicAuth(secrets, self.compare, DaemonPool("logins", 1), self.attempts)

    async def ask(self, *authorization: str, address: str = "192.0.2.1") -> int:
        """The status a request with these headers gets."""
        headers = CIMultiDict([("Authorization", value) for value in authorization])
        try:
            await self.auth.check(cast(web.BaseRequest, SimpleNamespace(headers=headers, remote=address)))
        except Refused as error:
            refused = error
        else:
            return 200
        needed = {401: "WWW-Authenticate", 429: "Retry-After"}[refused.status]
        assert refused.headers[needed]
        return int(refused.status)

    async def login(self, user: str | bytes, password: str | bytes, **more: Any) -> int:
        return await self.ask(basic(user, password), **more)


def basic(user: str | bytes, password: str | bytes) -> str:
    raw = [part.encode() if isinstance(part, str) else part for part in (user, password)]
    return "Basic " + b64encode(b":".join(raw)).decode()


@pytest.fixture
def door() -> Door:
    return Door()


async def test_the_right_password_gets_in_and_is_computed_once(door: Door) -> None:
    assert [await door.login("ann", "open sesame") for _ in range(5)] == [200] * 5
    assert door.compare.number == 1
    assert await door.ask(basic("ann", "open sesame").replace("Basic", "bASIC ")) == 200
    assert await door.login("björn", "pässword") == 200


async def test_a_wrong_password_is_computed_each_time(door: Door) -> None:
    assert [await door.login("ann", "wrong") for _ in range(3)] == [401] * 3
    assert door.compare.number == 3


async def test_joined_texts_that_are_equal_are_not_the_same_login(door: Door) -> None:
    """As with the cache key that held user, hash and password one behind the other."""
    assert await door.login("a", "bc") == 200
    assert await door.login("ab", "c") == 401
    assert await door.login("", "abc") == 401
    hash = USERS["ann"]
    assert await door.login("ann", "open sesame") == 200
    assert await door.login("ann", hash) == 401
    assert await door.login("ann" + hash, "open sesame") == 401
    assert await door.login(f"ann:{hash}", "open sesame") == 401
    assert await door.login("annopen", f" sesame{hash}") == 401
    assert await door.login(f"ann{hash[:10]}", f"{hash[10:]}open sesame") == 401


async def test_the_password_behind_the_decoy_lets_no_unknown_user_in(door: Door) -> None:
    """Neither before somebody logged in with it, nor after."""
    assert await door.login("nobody", "open sesame") == 401
    assert await door.login("ann", "open sesame") == 200
    assert [await door.login("nobody", "open sesame") for _ in range(2)] == [401, 401]
    assert door.compare.number == 4


async def test_an_unknown_user_takes_the_time_of_a_wrong_password() -> None:
    door = Door({"ann": hashed(b"x", 10)})
    taken: dict[str, float] = {}
    for user in ("ann", "nobody"):
        began = time.perf_counter()
        for number in range(4):
            door.clock.now += 10
            assert await door.login(user, f"wrong {number}") == 401
        taken[user] = time.perf_counter() - began
    assert 0.5 < taken["ann"] / taken["nobody"] < 2.0


async def test_a_password_of_more_than_72_bytes_is_wrong_and_no_crash() -> None:
    door = Door({"ann": hashed(b"x" * 72)})
    assert await door.login("ann", "x" * 72) == 200
    assert await door.login("ann", "x" * 73) == 401
    assert await door.login("ann", "x" * 8000) == 401
    assert door.compare.number == 1


MALFORMED = {
    "nothing": (),
    "empty": ("",),
    "no space": ("Basic",),
    "nothing behind": ("Basic ",),
    "bad base64": ("Basic %%%",),
    "padding": ("Basic YTpi=",),
    "no colon": ("Basic " + b64encode(b"ann").decode(),),
    "not ASCII": ("Basic äöü",),
    "surrogates": ("Basic \udcff\udcfe",),
    "not UTF-8": ("Basic " + b64encode(b"\xff\xfe:\xfd").decode(),),
    "a NUL": (basic("ann", "open\0sesame"),),
    "eight kilobytes": ("Basic " + b64encode(b"a:" + b"x" * 6000).decode(),),
    "another scheme": ("Bearer abc",),
    "two headers": (basic("ann", "open sesame"),) * 2,
    "twice in one": (", ".join([basic("ann", "open sesame")] * 2),),
    "a tab": (basic("ann", "open sesame").replace(" ", "\t"),),
    "only a colon": (basic("", ""),),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_header_is_a_401(door: Door, kind: str) -> None:
    assert await door.ask(*MALFORMED[kind]) == 401


@given(st.lists(st.text(), max_size=2) | st.binary().map(lambda raw: ["Basic " + b64encode(raw).decode()]))
@settings(max_examples=200, deadline=None)
def test_no_header_at_all_is_anything_but_a_refusal(values: list[str]) -> None:
    door = Door({"ann": hashed(b"open sesame")})
    assert asyncio.run(door.ask(*values)) == 401


@contextmanager
def held(door: Door) -> Iterator[None]:
    door.compare.gate.clear()
    try:
        yield
    finally:
        door.compare.gate.set()


async def test_the_same_login_at_the_same_time_is_computed_once(door: Door) -> None:
    with held(door):
        asking = [asyncio.create_task(door.login("ann", "open sesame")) for _ in range(150)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*asking) == [200] * 150
    assert door.compare.number == 1


async def test_one_who_leaves_does_not_take_the_login_of_another_along(door: Door) -> None:
    with held(door):
        first = asyncio.create_task(door.login("ann", "open sesame"))
        second = asyncio.create_task(door.login("ann", "open sesame"))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0)
    assert await second == 200


async def test_never_two_are_computed_at_once_and_few_wait_from_one_address(door: Door) -> None:
    with held(door):
        asking = [asyncio.create_task(door.login("ann", f"wrong {number}")) for number in range(20)]
        await asyncio.sleep(0.01)
        refused = [task.result() for task in asking if task.done()]
        assert refused == [429] * (20 - AT_ONCE)
        other = asyncio.create_task(door.login("ann", "open sesame", address="192.0.2.2"))
        await asyncio.sleep(0.01)
    assert await other == 200
    assert sorted(await asyncio.gather(*asking)) == [401] * AT_ONCE + [429] * (20 - AT_ONCE)
    assert door.compare.most == 1


async def test_all_addresses_together_do_not_fill_the_queue_without_end(door: Door) -> None:
    with held(door):
        asking = [
            asyncio.create_task(door.login("ann", f"wrong {number}", address=f"192.0.2.{number}"))
            for number in range(60)
        ]
        await asyncio.sleep(0.01)
        assert sum(task.done() for task in asking) == 60 - AT_ONCE_IN_ALL
    await asyncio.gather(*asking)
    assert await door.login("ann", "open sesame") == 200


async def test_wrong_passwords_from_one_address_are_limited_and_time_mends_it(door: Door) -> None:
    found = [await door.login("ann", f"wrong {number}") for number in range(1000)]
    assert found == [401] * int(BURST) + [429] * (1000 - int(BURST))
    assert door.compare.number == BURST
    assert await door.login("ann", "open sesame") == 429
    assert await door.login("ann", "open sesame", address="192.0.2.2") == 200
    assert await door.login("ann", "open sesame") == 200  # known by now: passes whatever the address has done
    door.clock.now += 2.0
    assert [await door.login("ann", f"later {number}") for number in range(4)] == [401, 401, 429, 429]


async def test_right_logins_use_nothing_up(door: Door) -> None:
    for _ in range(30):
        door.auth = BasicAuth({"ann": Secret(USERS["ann"])}, door.compare, DaemonPool("logins", 1), door.attempts)
        assert await door.login("ann", "open sesame") == 200


@pytest.mark.parametrize(
    ("addresses", "one"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"], True),
        (["2001:db8::1", "2001:db8:1::1"], False),
        (["::ffff:192.0.2.1", "::ffff:192.0.2.2"], False),
        (["::ffff:192.0.2.1", "192.0.2.1"], True),
        (["fe80::1%eth0", "fe80::2%eth1"], True),
        (["", "not an address"], False),
    ],
)
def test_an_address_of_ipv6_stands_for_its_network(addresses: list[str], one: bool) -> None:
    attempts = Attempts(lambda: 0.0)
    for _ in range(int(BURST)):
        attempts.end(attempts.begin(addresses[0]), False)
    for address in addresses[1:]:
        if one:
            with pytest.raises(Refused):
                attempts.begin(address)
        else:
            attempts.begin(address)


def test_the_addresses_that_are_remembered_are_bounded() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(3 * MOST_ADDRESSES):
        attempts.end(attempts.begin(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"), False)
    assert len(attempts._addresses) == MOST_ADDRESSES


def test_a_hash_that_cannot_be_compared_fits_nothing() -> None:
    assert comparing()(b"x", b"$2b$04$short") is False


def test_without_the_package_nobody_is_let_in_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, Any], __import__("sys").modules), "bcrypt", None)
    with pytest.raises(BcryptMissing):
        comparing()


async def test_a_comparison_that_fails_is_no_login_and_blocks_nothing() -> None:
    def failing(password: bytes, hash: bytes) -> bool:
        raise RuntimeError

    door = Door()
    broken: Compare = failing
    door.auth = BasicAuth({"ann": Secret(USERS["ann"])}, broken, DaemonPool("logins", 1), door.attempts)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await door.login("ann", "open sesame")
