"""Basic authentication: hashes compared off the loop and one at a time, wrong logins limited per address."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from aiohttp import web

from exporter.model.collector import Offload
from exporter.model.secret import Secret
from exporter.web.answers import Refused

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="platform-exporter", charset="UTF-8"'}
_LONGEST = 72  # bytes of a password; the algorithm takes no more

BURST, PER_SECOND = 10.0, 1.0
# Computed one at a time: with more from one address, a right login from another would wait behind them all.
AT_ONCE, AT_ONCE_IN_ALL = 2, 32
MOST_ADDRESSES = 4096

_Key = tuple[bytes, bytes, bytes]
Compare = Callable[[bytes, bytes], bool]


class BcryptMissing(Exception):
    """The package that compares the hashes is not installed."""


def comparing() -> Compare:
    """bcrypt's comparison; imported only where somebody may log in."""
    try:
        from bcrypt import checkpw
    except ImportError:
        raise BcryptMissing from None

    def compare(password: bytes, hash: bytes) -> bool:
        try:
            return checkpw(password, hash)
        except ValueError:
            return False

    return compare


class BasicAuth:
    """The users of one version of the file: with the next version everything known is forgotten."""

    def __init__(self, users: Mapping[str, Secret], compare: Compare, offload: Offload, attempts: Attempts) -> None:
        self._hashes = {name.encode(): hash.reveal().encode() for name, hash in users.items()}
        # An unknown user costs as much as a known one: compared with somebody's hash, whatever comes of it.
        self._decoy = next(iter(self._hashes.values()))
        self._compare = compare
        self._offload = offload
        self._attempts = attempts
        self._salt = secrets.token_bytes(32)
        # Never joined to one text: "a" + "bc" is not "ab" + "c". One for each user at most, as nobody else gets in.
        self._known: set[_Key] = set()
        self._under_way: dict[_Key, asyncio.Task[bool]] = {}

    async def check(self, request: web.BaseRequest) -> None:
        """Raises Refused unless the request comes with the right credentials."""
        user, password = _credentials(request)
        hash = self._hashes.get(user)
        key = (user, hashlib.blake2b(password, key=self._salt).digest(), hash or b"")
        if key in self._known:
            return
        if len(password) > _LONGEST or not await self._right(key, password, request.remote):
            raise _unauthorized()

    async def _right(self, key: _Key, password: bytes, address: str | None) -> bool:
        # A page with its scripts comes as several requests at once: the same login is computed once.
        task = self._under_way.get(key)
        if task is None:
            attempt = self._attempts.begin(address or "")
            task = asyncio.get_running_loop().create_task(self._computed(key, password, attempt))
            self._under_way[key] = task
        return await asyncio.shield(task)

    async def _computed(self, key: _Key, password: bytes, attempt: _Address) -> bool:
        hash = key[-1]
        right = False
        try:
            matches = await self._offload(partial(self._compare, password, hash or self._decoy))
            right = matches and bool(hash)
        finally:
            del self._under_way[key]
            self._attempts.end(attempt, right)
        if right:
            self._known.add(key)
        return right


def _credentials(request: web.BaseRequest) -> tuple[bytes, bytes]:
    given = request.headers.getall("Authorization", ())
    scheme, _, encoded = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() == "basic":
        try:
            user, colon, password = b64decode(encoded.strip(" "), validate=True).partition(b":")
        except ValueError:  # also for what is not ASCII
            colon = b""
        if colon:
            return user, password
    raise _unauthorized()


def _unauthorized() -> Refused:
    return Refused(HTTPStatus.UNAUTHORIZED, "unauthorized", "credentials are needed", headers=_CHALLENGE)


class _Address:
    """What one address has left, as of a moment."""

    __slots__ = ("left", "moment", "waiting")

    def __init__(self, moment: float) -> None:
        self.left = BURST
        self.moment = moment
        self.waiting = 0


class Attempts:
    """How many logins an address may try: ten at first and one a second, of which right ones do not count."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._waiting = 0

    def begin(self, address: str) -> _Address:
        """Raises Refused when it is too early for another try."""
        now = self._monotonic()
        found = self._found(_network(address), now)
        found.left = min(BURST, found.left + (now - found.moment) * PER_SECOND)
        found.moment = now
        if found.left < 1.0 or found.waiting >= AT_ONCE or self._waiting >= AT_ONCE_IN_ALL:
            again = {"Retry-After": "1"}
            message = "too many logins from this address"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", message, headers=again)
        found.left -= 1.0
        found.waiting += 1
        self._waiting += 1
        return found

    def end(self, found: _Address, right: bool) -> None:
        found.waiting -= 1
        found.left += right
        self._waiting -= 1

    def _found(self, address: str, now: float) -> _Address:
        found = self._addresses.get(address)
        if found is None:
            found = self._addresses[address] = _Address(now)
            if len(self._addresses) > MOST_ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(address)
        return found


def _network(address: str) -> str:
    """The address; of IPv6 the network, as whoever has one address there has all of them."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        # A listener on both families shows IPv4 like this: all of it would be one network.
        return str(ip.ipv4_mapped or ip.packed[:8].hex())
    return str(ip)
