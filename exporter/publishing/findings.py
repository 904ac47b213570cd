"""What the origins of targets have told so far, and the directory that comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.model.errors import Failure
from exporter.model.target import Target
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.health import Moment
from exporter.publishing.listing import Invalid, Listing, Merged, merge
from exporter.publishing.refresh import DiscoveryDetail, RefreshDetail, Refreshes, SourceState, TargetPicture
from exporter.publishing.tally import Tally


@dataclass(slots=True)
class Source:
    """What is known of one origin: its last listing stays while newer ones fail."""

    name: str
    origin: str
    listing: Listing | None = None
    last_success: float | None = None
    failure: Failure | None = None

    def state(self) -> SourceState:
        listing = self.listing or Listing(origin=self.origin)
        return SourceState(
            name=self.name,
            origin=self.origin,
            targets=len(listing.targets),
            invalid=len(listing.invalid),
            skipped=listing.skipped,
            last_success=self.last_success,
            reason=self.failure.reason if self.failure else None,
            detail=self.failure.detail if self.failure else "",
        )


class Findings:
    """The listings of all origins, merged whenever one is new: nobody waits for the slowest."""

    def __init__(self, directory: TargetDirectory | None = None) -> None:
        self.directory = directory or TargetDirectory()
        self.refreshes = Refreshes()
        self.tally = Tally()
        self.merged = Merged()
        self._sources: dict[str, Source] = {}
        self._duplicates: frozenset[Invalid] = frozenset()
        self._pictures: tuple[Mapping[str, Target], DiscoveryDetail] | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._sources.values())

    def follow(self, sources: Sequence[tuple[str, str]]) -> bool:
        """These, by name and origin, are asked from now on; tells whether the targets changed.

        What was known stays until there is something newer, also if an origin is now read from elsewhere: then the
        first of the new ones takes over from the first of the old, and so on. What nobody is asked for any more goes.
        """
        old = self._sources
        left = [source for name, source in old.items() if (name, source.origin) not in sources]
        self._sources = {}
        for name, origin in sources:
            kept = old.get(name)
            if kept is None:
                heir = next((source for source in left if source.origin == origin), None)
                if heir is not None:
                    left.remove(heir)
                kept = Source(name, origin, heir.listing if heir else None, heir.last_success if heir else None)
            self._sources[name] = kept
        return self._merge()

    def took(self, name: str, listing: Listing, at: Moment, seconds: float) -> bool:
        """One origin was listed as a whole; tells whether the targets changed."""
        self.tally.listed(listing, seconds)
        return self._take(name, listing, at)

    def incomplete(self, name: str, listing: Listing) -> bool:
        """Part of one origin was listed: that counts, but something may have escaped; tells as above."""
        return self._take(name, listing, None)

    def watched(self, name: str, listing: Listing, at: Moment) -> bool:
        """The watch of one origin tells how it stands now; tells whether the targets changed."""
        source = self._sources.get(name)
        if source is not None and source.listing is not None:
            self.tally.watched(source.listing, listing)
        return self._take(name, listing, at)

    def failed(self, name: str, failure: Failure) -> None:
        """An attempt to list one origin failed."""
        self.tally.failed(failure)
        if name in self._sources:
            self._sources[name].failure = failure

    def _take(self, name: str, listing: Listing, at: Moment | None) -> bool:
        source = self._sources.get(name)
        if source is None:  # a reload has removed it meanwhile
            return False
        same = source.listing == listing
        source.listing = listing
        if at is not None:
            source.last_success, source.failure = at.wall, None
        return not same and self._merge()

    def _merge(self) -> bool:
        before = self.merged
        self.merged = merge(source.listing for source in self._sources.values() if source.listing is not None)
        listed = {invalid for source in self._sources.values() if source.listing for invalid in source.listing.invalid}
        duplicates = frozenset(invalid for invalid in self.merged.invalid if invalid not in listed)
        self.tally.duplicates(len(duplicates - self._duplicates))
        self._duplicates = duplicates
        changed = self.directory.replace(self.merged.targets)
        return changed or self.merged.invalid != before.invalid or self.merged.integrations != before.integrations

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Why origins could not be listed when they were last asked."""
        return tuple(source.failure for source in self._sources.values() if source.failure is not None)

    @property
    def known(self) -> bool:
        """Whether it is known which targets there are: nothing found and nothing known are not the same."""
        if self.merged.targets:
            return True
        return bool(self._sources) and all(source.listing is not None for source in self.sources)

    @property
    def last_success(self) -> float | None:
        """Since when nothing can have escaped: the last listing of the origin that was listed longest ago."""
        times = [source.last_success for source in self.sources]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def refresh_detail(self) -> RefreshDetail:
        """Refreshes, and what came of them."""
        valid, invalid = len(self.merged.targets), len(self.merged.invalid)
        return replace(
            self.refreshes.detail,
            targets_discovered=valid + invalid,
            targets_valid=valid,
            targets_invalid=invalid,
            sources=tuple(source.state() for source in self.sources),
            invalid=self.merged.invalid,
        )

    def discovery_detail(self) -> DiscoveryDetail:
        """The targets as they may be seen; made once for each state of the directory."""
        targets = self.directory.current()
        if self._pictures is None or self._pictures[0] is not targets:
            self._pictures = (targets, DiscoveryDetail(tuple(map(TargetPicture.of, targets.values()))))
        return self._pictures[1]
