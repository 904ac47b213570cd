"""What of the API server's objects is looked at, and what is remembered of it: never the data of a Secret."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.listing import Invalid, Listing
from exporter.publishing.payload import Parse
from exporter.publishing.policy import AddressPolicy
from exporter.publishing.secret import read_secret

ORIGIN = "kubernetes"
Outcome = Target | Invalid | None
Shape = TypeVar("Shape")


class Metadata(msgspec.Struct, rename="camel"):
    """Who a Secret is, and which version of it this is."""

    resource_version: str
    name: str = ""
    labels: dict[str, str] | None = None


class SecretObject(msgspec.Struct):
    """A Secret; of a bookmark only the version is there."""

    metadata: Metadata
    data: dict[str, str] | None = None


class PageMetadata(msgspec.Struct, rename="camel"):
    """Which version of the whole a page is part of, and how to ask for the next."""

    resource_version: str
    continue_: str | None = msgspec.field(name="continue", default=None)


class Page(msgspec.Struct):
    """A piece of a list."""

    metadata: PageMetadata
    items: list[SecretObject] | None


class Status(msgspec.Struct):
    """What the server says instead of an object."""

    code: int = 0


class Event(msgspec.Struct):
    """A line of a watch; what its object is depends on its type."""

    type: str
    object: msgspec.Raw


def decode(body: bytes | bytearray | msgspec.Raw, shape: type[Shape]) -> Shape:
    """The body as one of these shapes."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Raised here so that it carries no context: the texts of other exceptions may quote the body.
    raise Failure(Reason.DECODE, "the answer is not what an API server says")


class Place:
    """A namespace: what is known of its Secrets, and of which version that is.

    `known` keeps the version of each, so that one that did not change is not parsed again.
    """

    def __init__(self, namespace: str, policy: AddressPolicy, parse: Parse | None) -> None:
        self.namespace = namespace
        self.version = ""  # nothing is known, or too little to go on from
        self.current = asyncio.Event()  # set while a watch may go on from the version
        self.known: dict[str, tuple[str, Outcome]] = {}
        self._policy = policy
        self._parse = parse
        self._watch: asyncio.Timeout | None = None

    def read(self, secret: SecretObject) -> tuple[str, Outcome]:
        """What to remember of a Secret."""
        about = secret.metadata
        before = self.known.get(about.name)
        if before is not None and before[0] == about.resource_version:
            return before
        data, labels = secret.data or {}, about.labels or {}
        outcome = read_secret(self.namespace, about.name, data, labels, self._policy, self._parse)
        return about.resource_version, outcome

    def replace(self, known: dict[str, tuple[str, Outcome]], version: str) -> None:
        """Takes over a list."""
        self.known, self.version = known, version

    def note(self, event: Event) -> bool:
        """Takes over a line of the watch; tells whether anything looks different now."""
        if event.type not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            return False
        secret = decode(event.object, SecretObject)
        name, before = secret.metadata.name, self.known.get(secret.metadata.name)
        self.version = secret.metadata.resource_version
        if event.type == "BOOKMARK":
            return False
        if event.type == "DELETED":
            return self.known.pop(name, None) is not None
        self.known[name] = self.read(secret)
        return before is None or before[1] != self.known[name][1]

    def lose(self) -> None:
        """What is known stays, but a watch cannot go on from it."""
        self.version = ""
        self.current.clear()

    @contextmanager
    def listed(self) -> Iterator[None]:
        """The watch stands still in here: nobody could tell which of the two had seen the newer state."""
        self.current.clear()
        if self._watch is not None and not self._watch.expired():
            self._watch.reschedule(0.0)
        try:
            yield
        finally:
            if self.version:
                self.current.set()

    @contextmanager
    def watched(self, limit: asyncio.Timeout) -> Iterator[None]:
        """In here a list ends the watch through this limit."""
        self._watch = limit
        try:
            yield
        finally:
            self._watch = None


def listing(places: Iterable[Place]) -> Listing:
    """All that is known, in the order of the names."""
    outcomes = [place.known[name][1] for place in places for name in sorted(place.known)]
    return Listing(
        origin=ORIGIN,
        targets=tuple([outcome for outcome in outcomes if isinstance(outcome, Target)]),
        invalid=tuple([outcome for outcome in outcomes if isinstance(outcome, Invalid)]),
        skipped=sum(outcome is None for outcome in outcomes),
    )
