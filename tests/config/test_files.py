"""Files are read bounded, and only regular ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.config.files import Unreadable, read_bytes


def test_a_file_within_its_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert read_bytes(tmp_path / "a", 10) == b"x" * 10
    with pytest.raises(Unreadable, match="larger than"):
        read_bytes(tmp_path / "a", 9)


def test_what_is_no_file_is_refused_and_keeps_no_descriptor(tmp_path: Path) -> None:
    """Files are looked at every two seconds for as long as the daemon runs."""
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for name, words in ((".", "is a directory"), ("pipe", "not a regular file"), ("gone", "no such file")):
        for _ in range(5):
            with pytest.raises(Unreadable, match=words):
                read_bytes(tmp_path / name, 10)
    assert len(os.listdir("/proc/self/fd")) == before
