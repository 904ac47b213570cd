"""Names to addresses, on a pool of its own: a hung name server holds up nothing but the names it serves."""

from __future__ import annotations

import asyncio
import socket
from functools import lru_cache
from ipaddress import ip_address

from exporter.model.collector import Clock, Offload
from exporter.model.errors import Failure
from exporter.model.reason import Reason

KEEP = 10.0
KEEP_FAILURE = 2.0
LIMIT = 4096

_Addresses = tuple[str, ...]


class _Lookup:
    """One lookup under way, and how many wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[_Addresses]) -> None:
        self.task = task
        self.waiters = 0


class Resolver:
    """Resolves through the system, asks once however many want to know, and remembers the answer for a moment."""

    def __init__(self, offload: Offload, clock: Clock) -> None:
        self._offload = offload
        self._clock = clock
        self._known: dict[str, tuple[float, _Addresses]] = {}  # no addresses: the name does not resolve
        self._under_way: dict[str, _Lookup] = {}

    async def addresses(self, host: str) -> _Addresses:
        """All addresses of a host, in the system's order of preference; an address stands for itself."""
        if _is_address(host):
            return (host,)
        known = self._known.get(host)
        if known is not None and self._clock.monotonic() < known[0]:
            addresses = known[1]
        else:
            addresses = await self._shared(host)
        if not addresses:
            raise Failure(Reason.DNS, "the host name does not resolve")
        return addresses

    async def _shared(self, host: str) -> _Addresses:
        lookup = self._under_way.get(host)
        if lookup is None:
            lookup = self._under_way[host] = _Lookup(asyncio.create_task(self._look_up(host)))
            lookup.task.add_done_callback(lambda _: self._ended(host, lookup))
        lookup.waiters += 1
        try:
            return await asyncio.shield(lookup.task)
        finally:
            lookup.waiters -= 1
            if not lookup.waiters and not lookup.task.done():
                # Nobody waits any more: a call that has not begun must not stand in the way of others.
                self._ended(host, lookup)
                lookup.task.cancel()

    def _ended(self, host: str, lookup: _Lookup) -> None:
        if self._under_way.get(host) is lookup:
            del self._under_way[host]

    async def _look_up(self, host: str) -> _Addresses:
        try:
            addresses = await self._offload(lambda: _system(host))
        except (OSError, UnicodeError):
            addresses = ()
        self._remember(host, addresses)
        return addresses

    def _remember(self, host: str, addresses: _Addresses) -> None:
        self._known.pop(host, None)
        while len(self._known) >= LIMIT:
            del self._known[next(iter(self._known))]
        self._known[host] = (self._clock.monotonic() + (KEEP if addresses else KEEP_FAILURE), addresses)

    async def close(self) -> None:
        """Ends what is under way; whoever waits for it is cancelled too."""
        for lookup in list(self._under_way.values()):
            lookup.task.cancel()


def _system(host: str) -> _Addresses:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(_text(address) for *_, address in found))


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    # Spellings that are not strict (127.1, 0x7f000001) are left to the system, which turns them into one that is.
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _text(address: tuple[str | int, ...] | tuple[int, bytes]) -> str:
    text = str(address[0])
    # Link-local addresses of IPv6 mean nothing without the interface.
    return f"{text}%{address[3]}" if len(address) == 4 and address[3] and "%" not in text else text
