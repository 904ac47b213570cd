"""Names of files with `*`, `?` and `[…]` in them."""

from __future__ import annotations

import glob
import os
from itertools import islice
from pathlib import Path

MOST_FILES = 1000


def is_pattern(path: Path) -> bool:
    """Whether the name stands for any number of files; not if there is a file of just that name."""
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def matches(path: Path) -> list[Path]:
    """The file, or the files of a pattern by name, without hidden ones; of too many the first."""
    if not is_pattern(path):
        return [path]
    return sorted(map(Path, islice(glob.iglob(str(path), recursive=True), MOST_FILES)))
