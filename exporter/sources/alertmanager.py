"""The receivers of an Alertmanager as targets, from its configuration: a file, or the Secret of its operator."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from time import perf_counter

from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.foreign import foreign_values
from exporter.config.problems import ConfigError
from exporter.model.collector import Offload
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.listing import Listing
from exporter.publishing.receivers import read_receivers
from exporter.sources.reading import Reader

KIND = "alertmanager"
OPERATORS_KEY = "alertmanager.yaml.gz"  # what the operator writes
LARGEST = 4 << 20  # bytes, packed or not
_LARGEST_CONTENT = 64 << 10
_GZIP = b"\x1f\x8b"

Fetch = Callable[[], Awaitable[bytes]]
Close = Callable[[], Awaitable[None]]


class AlertmanagerFile:
    """The origin of the receivers in one file, and in the files it names."""

    kind = KIND

    def __init__(self, path: Path, offload: Offload) -> None:
        self.name = f"{KIND} {path}"
        self.watched: Collection[Path] = (path,)
        self._path = path
        self._reader = Reader(offload)

    async def list(self) -> Listing:
        """Reads the file, on a thread: a file system may hang."""
        named: dict[Path, None] = {}
        listing = await self._reader(lambda: _in_file(self._path, named))
        self.watched = (self._path, *named)
        return listing

    async def close(self) -> None:
        """Waits for nothing any more."""
        self._reader.close()


class AlertmanagerSecret:
    """The origin of the receivers in one key of a Secret."""

    kind = KIND
    watched: Collection[Path] = ()

    def __init__(self, place: str, fetch: Fetch, offload: Offload, close: Close) -> None:
        self.name = f"{KIND} {place}"
        self._place = place
        self._fetch = fetch
        self._offload = offload
        self.close = close

    async def list(self) -> Listing:
        """Reads the Secret anew."""
        content = await self._fetch()
        return await self._offload(lambda: _listing(content, self._place, _elsewhere))


def fault_of(path: Path) -> str:
    """Why nothing can be made of a file; empty if something can."""
    try:
        _in_file(path, {})
    except Failure as failure:
        return failure.detail
    return ""


def _in_file(path: Path, named: dict[Path, None]) -> Listing:
    """The receivers in a file; the files that it names are added to `named`."""
    try:
        content = read_bytes(path, LARGEST)
    except Unreadable as error:
        raise Failure(Reason.CONFIG, f"cannot read {path}: {error}") from None

    def contents(name: str) -> str:
        file = path.parent / name
        named[file] = None
        try:
            return decode(read_bytes(file, _LARGEST_CONTENT))
        except Unreadable as error:
            raise Failure(Reason.CONFIG, str(error)) from None

    return _listing(content, str(path), contents)


def _elsewhere(name: str) -> str:
    raise Failure(Reason.CONFIG, "a file in the container of Alertmanager")


def _listing(content: bytes, source: str, contents: Callable[[str], str]) -> Listing:
    begin = perf_counter()
    try:
        values = foreign_values(decode(_plain(content)), source)
    except Unreadable as error:
        problem, reason = str(error), Reason.DECODE
    except ConfigError as error:
        problem, reason = "; ".join(map(str, error.problems)), Reason.PARSE
    else:
        parsed = perf_counter()
        listing = read_receivers(values, source, contents)
        if listing.invalid and not listing.integrations:  # cut off, or no such configuration at all
            raise Failure(Reason.PARSE, f"the configuration of Alertmanager: {listing.invalid[0].detail}")
        seconds = {"parse": parsed - begin, "validate": perf_counter() - parsed}
        return Listing(
            origin=listing.origin,
            targets=listing.targets,
            invalid=listing.invalid,
            skipped=listing.skipped,
            integrations=listing.integrations,
            seconds=seconds,
        )
    raise Failure(reason, f"the configuration of Alertmanager: {problem}")


def _plain(content: bytes) -> bytes:
    """The content, unpacked if it is gzip; a bomb is noticed before it has gone off."""
    if not content.startswith(_GZIP):
        return content
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = inflate.decompress(content, LARGEST + 1)
    except zlib.error:
        raise Unreadable("not gzip, although it begins as such") from None
    if len(plain) > LARGEST:
        raise Unreadable(f"larger than {LARGEST >> 10} KiB once unpacked")
    if not inflate.eof:
        raise Unreadable("the gzip data breaks off")
    return plain
