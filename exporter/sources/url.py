"""Where a URL leads, taken apart once: whom to connect to, and what to send there."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from exporter.model.errors import Failure
from exporter.model.reason import Reason

PORTS = {"http": 80, "https": 443}
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")  # the parser of the standard library drops some of them without a word
_AS_THEY_ARE = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """`host` as name servers and certificates have it, `authority` as the Host header does, `resource` as sent."""

    text: str
    scheme: str
    host: str
    port: int
    authority: str
    resource: str
    basic: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def tunnel(self) -> str:
        """Host and port, as a proxy is told them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def redirected(self, location: str | None) -> Url:
        """Where an answer sends us; anywhere but to the same origin is a failure."""
        try:
            if not location or _UNSEEN.search(location):
                raise ValueError
            there = parse(urljoin(self.text, location))
        except (Failure, ValueError):
            problem = "the redirect leads nowhere"
        else:
            if there.origin == self.origin and not there.basic:
                return there
            downgrade = (self.scheme, there.scheme) == ("https", "http")
            problem = "the redirect leads from https to http" if downgrade else "the redirect leads elsewhere"
        raise Failure(Reason.REDIRECT, problem)


def parse(text: str) -> Url:
    """The parts of a URL of http or https."""
    try:
        if _UNSEEN.search(text):
            raise ValueError
        parts = urlsplit(text)
        port = PORTS[parts.scheme] if parts.port is None else parts.port
        host = parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
        if not host or not port or parts.scheme not in PORTS:
            raise ValueError
    except (ValueError, KeyError):
        pass
    else:
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == PORTS[parts.scheme] else f"{shown}:{port}"
        resource = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_AS_THEY_ARE)
        return Url(text, parts.scheme, host, port, authority, resource, _basic(parts.username, parts.password))
    raise Failure(Reason.CONFIG, "the url cannot be used")


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
