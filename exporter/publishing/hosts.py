"""Hosts of URLs that say by themselves where they lead, however they are spelled.

The guard of every connection judges the address it really goes to; this one tells the writer of a document earlier.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import unquote, urlsplit

from exporter.publishing.policy import AddressPolicy

_KNOWN = {"metadata.google.internal": "169.254.169.254", "instance-data.ec2.internal": "169.254.169.254"}
_API_SERVER = re.compile(r"kubernetes(\.default(\.svc(\..+)?)?)?")


def refused(url: str, policy: AddressPolicy, origin: str) -> str | None:
    """Why the URL may not be probed, as far as its text tells; None if the text tells nothing against it."""
    host = _plain(urlsplit(url).hostname or "")
    if origin == "kubernetes" and _API_SERVER.fullmatch(host):
        return "the API server of the cluster"
    address = _address(host)
    return policy.refuses(address, origin) if address is not None else None


def _plain(host: str) -> str:
    host = unquote(host)
    try:
        # Digits and dots exist in many scripts, and mean the plain ones in a host name.
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return ""
    return host.removesuffix(".").lower()


def _address(host: str) -> str | None:
    if ":" in host:
        return host
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    if host in _KNOWN:
        return _KNOWN[host]
    try:
        # Takes what the system takes when it connects: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None
