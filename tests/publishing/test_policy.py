"""The guard on addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from exporter.publishing.policy import AddressPolicy, Network


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:5ef5:79fd:0:0:5601:5601",  # Teredo: the client's address stands inverted at the end
    "2001:0:a9fe:a9fe::1",
    "fd00:ec2::254%eth0",
]
INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "169.254.1.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%2",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:100.64.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
OUTSIDE = ["93.184.216.34", "10.0.0.1", "192.168.1.1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"]
ORIGINS = ["static", "file", "alertmanager", "kubernetes"]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused_for_every_origin(address: str, origin: str) -> None:
    assert AddressPolicy().refuses(address, origin) == "a metadata service"


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused_for_targets_from_the_cluster_only(address: str) -> None:
    assert AddressPolicy().refuses(address, "kubernetes") == "an address inside the host or the link"
    assert AddressPolicy().refuses(address, "static") is None


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("address", OUTSIDE)
def test_all_other_addresses_may_be_probed(address: str, origin: str) -> None:
    assert AddressPolicy().refuses(address, origin) is None


def test_what_is_allowed_is_an_exception_from_the_defaults() -> None:
    policy = AddressPolicy(allow=networks("127.0.0.0/8", "169.254.169.254"))
    for address in ("127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"):
        assert policy.refuses(address, "kubernetes") is None
    assert policy.refuses("169.254.170.2", "static") == "a metadata service"
    assert policy.refuses("::1", "kubernetes") == "an address inside the host or the link"


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2002:a01:203::", "2001:db8::1"])
def test_what_is_denied_stays_denied_even_if_allowed(address: str) -> None:
    policy = AddressPolicy(allow=networks("10.0.0.0/8", "2001:db8::/32"), deny=networks("10.1.0.0/16", "2001:db8::/64"))
    assert policy.refuses(address, "static") == "denied by targets.policy"


@pytest.mark.parametrize("address", ["", "localhost", "0x7f000001", "127.1", "2130706433"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert AddressPolicy().refuses(address, "static") == "not an address"
