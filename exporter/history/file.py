"""The database file: whose it is, whether it is still the same, and what happens to one that is broken."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from exporter.model.errors import Unavailable
from exporter.model.reason import Storage

_BESIDE = ("", "-wal", "-shm")
Identity = tuple[int, int]


def sibling(path: Path, suffix: str) -> Path:
    """A file that belongs to the database."""
    return path.with_name(path.name + suffix)


class Claim:
    """Makes sure that one daemon writes the file. The claim ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        # A file of its own: closing any descriptor of the database would undo the locks SQLite has on it.
        self._descriptor = os.open(sibling(path, "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Unavailable(Storage.BUSY, "another daemon writes this file") from None
        except OSError:
            pass  # a file system without such locks: then it is up to the operator

    def release(self) -> None:
        os.close(self._descriptor)


class Watched:
    """Notices that the file is no longer the one that was opened: what is written then goes nowhere."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Identity] = {}
        self._size = 0
        self.note()

    def note(self) -> None:
        """Takes what is there now as what is ours; right after it was opened or written."""
        for suffix in _BESIDE:
            found = _status(sibling(self._path, suffix))
            if found is not None:
                self._known.setdefault(suffix, (found.st_dev, found.st_ino))
                if not suffix:
                    self._size = found.st_size

    def check(self) -> None:
        """Raises if the file was removed, replaced or cut."""
        for suffix, identity in self._known.items():
            found = _status(sibling(self._path, suffix))
            if found is None or (found.st_dev, found.st_ino) != identity:
                raise Unavailable(Storage.GONE, "the file was removed or replaced")
            if not suffix and found.st_size < self._size:
                raise Unavailable(Storage.CORRUPT, "the file was cut")

    def leave(self) -> None:
        """After the file was replaced: its log must not be taken for that of the new one, which it would overwrite."""
        if self._is_ours(""):
            return
        ours = [suffix for suffix in _BESIDE if self._is_ours(suffix)]
        if ours:
            set_aside(self._path, ours)

    def _is_ours(self, suffix: str) -> bool:
        found = _status(sibling(self._path, suffix))
        return found is not None and (found.st_dev, found.st_ino) == self._known.get(suffix)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def size(path: Path) -> int:
    """Bytes of the database with all that belongs to it."""
    return sum(found.st_size for suffix in _BESIDE if (found := _status(sibling(path, suffix))) is not None)


def require_file(path: Path) -> None:
    """Raises if something else than a file is there, and never lets somebody's folder or device be set aside."""
    if path.is_dir() and not any(path.iterdir()):
        # What a container runtime leaves where a file should have been mounted.
        raise Unavailable(Storage.CORRUPT, "an empty folder, not a file")
    if path.exists() and not path.is_file():
        raise Unavailable(Storage.IO, "not a file")


def create(path: Path) -> None:
    """An empty file that only its owner can read, unless there is one."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def set_aside(path: Path, suffixes: Sequence[str] = _BESIDE) -> Path:
    """Gives a broken file another name, with all that belongs to it: somebody may want to save what can be saved."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while any(os.path.lexists(sibling(aside := _aside(path, stamp, number), suffix)) for suffix in _BESIDE):
        number += 1
    for suffix in suffixes:
        if os.path.lexists(sibling(path, suffix)):
            os.rename(sibling(path, suffix), sibling(aside, suffix))
    return aside


def _aside(path: Path, stamp: str, number: int) -> Path:
    return sibling(path, f".broken-{stamp}-{number}" if number else f".broken-{stamp}")
