"""Pages of a snapshot: each made at most once, off the event loop, however many ask."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from exporter.exposition import compress
from exporter.exposition.format import Format
from exporter.exposition.process import ProcessMetrics
from exporter.exposition.render import Renderer, place
from exporter.model.collector import Offload
from exporter.model.metric import Samples
from exporter.model.snapshot import Snapshot

# Filtered pages are kept for those who ask again before the next cycle; they must not outgrow the page itself.
KEPT_PAGES = 16
KEPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Selection:
    """What of a snapshot is on a page. An empty set does not restrict; what is given must all hold.

    `names` are names of families or of their samples, `collect` and `exclude` are names of collectors.
    """

    names: frozenset[str] = frozenset()
    collect: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    def collector(self, name: str) -> bool:
        """Whether a collector's families are wanted."""
        return name not in self.exclude and (not self.collect or name in self.collect)

    def family(self, samples: Samples) -> bool:
        """Whether a family is wanted. One of its names is enough for all of it: half a histogram is of no use."""
        return not self.names or not self.names.isdisjoint(samples.family.claims)


EVERYTHING = Selection()


@dataclass(frozen=True)
class Page:
    """Bytes to send as they are."""

    body: bytes
    format: Format
    gzipped: bool


_Kind = tuple[Format, bool]


@dataclass(eq=False)
class _Made:
    """What has been made of one snapshot. `process` is read once, or plain and gzip would tell different numbers."""

    snapshot: Snapshot | None
    process: tuple[Samples, ...] | None = None
    whole: dict[_Kind, Page] = field(default_factory=dict)
    filtered: dict[tuple[_Kind, Selection], Page] = field(default_factory=dict)


class Pages:
    """Makes pages and keeps those of the newest snapshot. Its methods belong to the event loop."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._made = _Made(None)
        # Work is done by one thread at a time. Whoever comes second finds the page there, so nothing is made twice
        # and nobody depends on another's request: one that is cancelled costs the others nothing.
        self._lock = threading.Lock()
        self._renderer = Renderer()
        self._compressor = compress.Compressor()
        self._process = ProcessMetrics()

    def ready(self, snapshot: Snapshot, format: Format, gzip: bool) -> Page | None:
        """The whole page, if it has been made."""
        made = self._made
        return made.whole.get((format, gzip)) if made.snapshot is snapshot else None

    async def page(self, snapshot: Snapshot, format: Format, gzip: bool, selection: Selection = EVERYTHING) -> Page:
        """The page of a snapshot, or a part of it."""
        if self._made.snapshot is not snapshot:
            self._made = _Made(snapshot)
        made = self._made
        found = _find(made, (format, gzip), selection)
        if found is not None:
            return found
        return await self._offload(lambda: self._make(made, snapshot, (format, gzip), selection))

    async def own(self, samples: tuple[Samples, ...], format: Format, gzip: bool) -> Page:
        """A page of what the daemon counts about itself, for when there is no snapshot to show."""
        return await self._offload(lambda: self._make_own(samples, (format, gzip)))

    def _make_own(self, samples: tuple[Samples, ...], kind: _Kind) -> Page:
        with self._lock:
            pieces = self._renderer.render(_without_doubles(samples, self._process.collect()), kind[0])
            return _page(pieces, kind)

    def _make(self, made: _Made, snapshot: Snapshot, kind: _Kind, selection: Selection) -> Page:
        with self._lock:
            found = _find(made, kind, selection)
            if found is not None:
                return found
            if made.process is None:
                self._begin(made, snapshot)
            pieces = self._renderer.render(_selected(snapshot, made.process or (), selection), kind[0])
            if selection == EVERYTHING:
                gzipped = kind[1]
                body = self._compressor.gzip(pieces) if gzipped else b"".join(pieces)
                page = made.whole[kind] = Page(body, kind[0], gzipped)
            else:
                page = made.filtered[kind, selection] = _page(pieces, kind)
                _trim(made.filtered)
            return page

    def _begin(self, made: _Made, snapshot: Snapshot) -> None:
        made.process = self._process.collect()
        self._renderer.retain({place(column.family) for column in _selected(snapshot, made.process, EVERYTHING)})
        self._compressor.turn()


def _find(made: _Made, kind: _Kind, selection: Selection) -> Page | None:
    return made.whole.get(kind) if selection == EVERYTHING else made.filtered.get((kind, selection))


def _page(pieces: list[bytes], kind: _Kind) -> Page:
    return Page(compress.gzip(pieces) if kind[1] else b"".join(pieces), *kind)


def _trim(kept: dict[tuple[_Kind, Selection], Page]) -> None:
    while len(kept) > KEPT_PAGES or sum(len(page.body) for page in kept.values()) > KEPT_BYTES:
        del kept[next(iter(kept))]


def _selected(snapshot: Snapshot, process: tuple[Samples, ...], selection: Selection) -> Iterator[Samples]:
    collected = [
        column for name, samples in snapshot.samples.items() if selection.collector(name) for column in samples
    ]
    return filter(selection.family, _without_doubles((*collected, *snapshot.own), process))


def _without_doubles(samples: tuple[Samples, ...], process: tuple[Samples, ...]) -> Iterable[Samples]:
    """A collector that brings `process_*` along, as a plugin may, has it instead of us: never both."""
    names = {column.family.name for column in samples}
    return (*samples, *(column for column in process if column.family.name not in names))
