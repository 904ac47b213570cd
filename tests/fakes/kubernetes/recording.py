"""What the server was asked, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request. `resource` is empty for what is none, such as discovery; `namespace` where all are meant."""

    verb: str
    resource: str
    namespace: str
    name: str
    path: str
    query: Mapping[str, str]
    at: float = field(default_factory=time.monotonic)


class Recording:
    """All requests, whatever became of them."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[Asked]:
        return iter(list(self._asked))

    def add(self, asked: Asked) -> None:
        self._asked.append(asked)

    def clear(self) -> None:
        self._asked.clear()

    def of(self, verb: str, namespace: str | None = None) -> list[Asked]:
        """Those of one verb, in one namespace or in any."""
        return [asked for asked in self if asked.verb == verb and namespace in (None, asked.namespace)]

    def seen(self) -> set[tuple[str, str]]:
        """What one must be permitted to ask all this: (verb, resource)."""
        return {(asked.verb, asked.resource) for asked in self if asked.resource}

    def rate(self, since: float) -> float:
        """Requests per second from a moment (of the monotonic clock) until now."""
        elapsed = time.monotonic() - since
        return sum(asked.at >= since for asked in self) / elapsed

    def most(self, seconds: float) -> int:
        """The most requests within any stretch of so many seconds."""
        times = [asked.at for asked in self]
        return max((sum(start <= at < start + seconds for at in times) for start in times), default=0)
