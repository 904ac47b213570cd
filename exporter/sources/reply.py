"""What a remote answered, and what it means for whoever asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from exporter.model.errors import Failure
from exporter.model.reason import Reason

LONGEST_PAUSE = 3600.0
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_CHARSETS = {"": "utf-8", "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
_AUTH = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `latency` runs from the name to the end of the headers, whose names are in lower case.

    `complete` is False if the body ended with the connection: one that was cut at the end of a line then looks whole,
    so a format that says where it ends is to be preferred.
    """

    status: int
    latency: float
    tls_expiry: float | None = None
    retry_after: float | None = None
    complete: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def expect(self, *statuses: int) -> Reply:
        """This answer, if it has one of the statuses; else the failure it stands for."""
        if self.status in statuses:
            return self
        if self.status == 429:
            raise Failure(Reason.RATE_LIMITED, "the remote asks for fewer requests")
        if 300 <= self.status < 400 and self.status != 304:
            raise Failure(Reason.REDIRECT, "the remote redirects")
        raise Failure(Reason.AUTH if self.status in _AUTH else Reason.HTTP_STATUS, f"the answer was {self.status}")

    def text(self) -> str:
        """The body as text, in one of the few character sets that leave no doubt."""
        declared = _CHARSET.search(self.headers.get("content-type", ""))
        charset = _CHARSETS.get(declared[1].lower() if declared else "")
        if charset is None:
            problem = "the character set is not one of those known"
        else:
            try:
                return self.body.decode(charset)
            except UnicodeDecodeError:
                problem = "the body is not in the character set it says"
        raise Failure(Reason.DECODE, problem)


def pause(header: str, now: float) -> float | None:
    """The seconds a remote asks to be left alone, bounded; None if what it says makes no sense. `now` is wall time."""
    if header.isascii() and header.isdigit():
        seconds = float(header[:10])
    else:
        try:
            seconds = parsedate_to_datetime(header[:64]).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else None
