"""Reading the files a configuration consists of: bounded, and only regular ones."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class Unreadable(Exception):
    """A file that cannot be used; the text says why and names nothing."""


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes."""
    with _opened(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Unreadable(f"larger than {limit >> 10} KiB")
    return content


def require(path: Path) -> None:
    """Raises if the file could not be read."""
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        # With an opener, because os.fdopen leaves the descriptor of a folder open when it refuses it.
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("not a regular file")
            yield file
    except OSError as error:
        raise Unreadable(_reason(error)) from None
    except ValueError:  # a NUL in the name
        raise Unreadable("not a legal name of a file") from None


def _without_waiting(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe that nobody writes to would never return.
    return os.open(path, flags | os.O_NONBLOCK)


def decode(content: bytes) -> str:
    """The text of a UTF-8 file, with or without a byte order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"not UTF-8 text (line {line})") from None


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory"
    return (error.strerror or "cannot be read").lower()
