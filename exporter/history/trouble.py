"""What the words of SQLite and the system mean, in ours."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from exporter.model.errors import Unavailable
from exporter.model.reason import Storage

_REASONS = {
    sqlite3.SQLITE_FULL: Storage.FULL,
    sqlite3.SQLITE_BUSY: Storage.BUSY,
    sqlite3.SQLITE_LOCKED: Storage.BUSY,
    sqlite3.SQLITE_READONLY: Storage.READONLY,
    sqlite3.SQLITE_PERM: Storage.READONLY,
    sqlite3.SQLITE_CORRUPT: Storage.CORRUPT,
    sqlite3.SQLITE_NOTADB: Storage.CORRUPT,
}
_SYSTEM = {
    errno.ENOSPC: Storage.FULL,
    errno.EDQUOT: Storage.FULL,
    errno.EROFS: Storage.READONLY,
    errno.EACCES: Storage.READONLY,
    errno.EPERM: Storage.READONLY,
    errno.ENOENT: Storage.GONE,
    errno.ENOTDIR: Storage.GONE,
}
_ROOM = 1 << 20  # SQLite calls a write that found no room an error of input and output, if it was not the first


def unavailable(error: Exception, path: Path) -> Unavailable:
    """The reason for an error, and words of our own: those of a library are for its developers."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, OSError):
        return Unavailable(_SYSTEM.get(error.errno or 0, Storage.IO), (error.strerror or "cannot be used").lower())
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Unavailable(Storage.IO, type(error).__name__)
    name: str = getattr(error, "sqlite_errorname", "")
    reason = _REASONS.get(code & 0xFF, Storage.IO)
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        reason = _why_not_opened(path)
    if reason is Storage.IO and _no_room(path):
        reason = Storage.FULL
    return Unavailable(reason, name)


def _why_not_opened(path: Path) -> Storage:
    if not path.exists():
        return Storage.GONE
    return Storage.IO if os.access(path.parent, os.W_OK) else Storage.READONLY


def _no_room(path: Path) -> bool:
    try:
        system = os.statvfs(path.parent)
    except OSError:
        return False
    return system.f_bavail * system.f_frsize < _ROOM
