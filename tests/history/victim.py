"""A process that stores snapshots as fast as it can and says which are on disk, until somebody ends it.

Its counter is the number of the snapshot, so that nothing can be lost or kept twice without a trace. Ten minutes lie
between two snapshots: hours end all the time.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from exporter.history import writer
from exporter.history.query import Reader
from exporter.model.errors import Unavailable
from exporter.publishing.past import Selector
from tests.history.build import EPOCH, Running, jobs, read_now, snapshot, until

EVERY = 600


def newest(reader: Reader) -> int:
    """The number of the newest snapshot in the file."""
    found = reader.last(Selector("publishing_jobs_total"))
    return found[0][1].snapshot if found else 0


def main(path: Path, count: int) -> None:
    writer.RETRY = 0.1  # the disk is well again at once
    number = 0
    with suppress(Unavailable):
        number = read_now(path, newest)
    with Running(path) as running:
        for _ in range(count):
            number += 1
            running.writer.offer(snapshot(number, number * EVERY, jobs(float(number))))
            wall = EPOCH + number * EVERY
            until(lambda at=wall: running.counted("history_last_stored_timestamp_seconds") == at, "stored")  # type: ignore[misc]
            print(number, flush=True)
    for reason in ("io", "full", "corrupt", "gone"):
        if running.errors(reason):
            print(f"trouble {reason}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
