"""Which addresses may be probed: the guard against making the daemon reach what its user cannot.

It judges the address a connection really goes to. Names and the many spellings of an address mean nothing here:
whatever they say, what counts is where the socket would connect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


# Where clouds hand credentials to whoever asks from inside.
_METADATA = _networks(
    "169.254.169.254",  # most of them
    "169.254.170.2",  # container credentials (AWS)
    "169.254.170.23",  # pod identity (AWS)
    "169.254.0.23",  # Tencent
    "100.100.100.200",  # Alibaba
    "168.63.129.16",  # Azure's wire server
    "192.0.0.192",  # Oracle
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",  # Google
)

_INSIDE = _networks(
    "0.0.0.0/8",  # reaches the own host on Linux
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "224.0.0.0/4",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::/10",
    "ff00::/8",
)

_NAT64 = _networks("64:ff9b::/96", "64:ff9b:1::/48")
_COMPATIBLE = ip_network("::/96")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What the operator allows and denies on top of the defaults.

    `deny` wins over `allow`, and `allow` wins over the defaults: so a wide exception may have a hole.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    def refuses(self, address: str, origin: str) -> str | None:
        """Why a target of this origin may not be reached at this address; None if it may."""
        return _refusal(self, address, origin)


# Pure, and asked again for the same few addresses at every probe: remembering saves a tenth of a probe's cost.
@lru_cache(maxsize=4096)
def _refusal(policy: AddressPolicy, address: str, origin: str) -> str | None:
    try:
        literal = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    for form in (literal, *_embedded(literal)):
        if _within(form, policy.deny):
            return "denied by targets.policy"
        if _within(form, policy.allow):
            continue
        if _within(form, _METADATA):
            return "a metadata service"
        if origin == "kubernetes" and _within(form, _INSIDE):
            return "an address inside the host or the link"
    return None


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses a packet to this IPv6 address may end up at."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if _within(address, _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
