"""Where targets are defined: what every such place can be asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.listing import Listing


class Origin(Protocol):
    """One place of targets. `name` tells it from others of its `kind`, which is what its listings name as origin.

    `watched` are the files and patterns whose change makes its listing another; what a listing read is among them.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def watched(self) -> Collection[Path]: ...
    async def list(self) -> Listing: ...


@runtime_checkable
class Watched(Protocol):
    """An origin that tells of changes by itself, once it has been listed.

    `changed` is called with the whole listing as it is now, `stale` when there must be a new list before it can go on.
    """

    async def watch(self, changed: Callable[[Listing], None], stale: Callable[[], None]) -> None: ...


class Incomplete(Failure):
    """Part of an origin could not be listed; the listing holds what else there is."""

    def __init__(self, reason: Reason, detail: str, listing: Listing) -> None:
        super().__init__(reason, detail)
        self.listing = listing


class Static:
    """The targets the operator wrote into the configuration."""

    name = kind = "static"
    watched: Collection[Path] = ()

    def __init__(self, targets: Iterable[Target]) -> None:
        self.listing = Listing(origin="static", targets=tuple(targets))

    async def list(self) -> Listing:
        """The same each time: a change of the configuration makes another origin."""
        return self.listing
