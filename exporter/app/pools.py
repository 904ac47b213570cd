"""The threads of the daemon for whatever blocks: each kind of work apart, so that none holds up another."""

from __future__ import annotations

from exporter.engine.threads import DaemonPool


class Pools:
    """One pool for each kind of work."""

    def __init__(self) -> None:
        self.files = DaemonPool("files", 2)
        self.names = DaemonPool("names", 8)
        self.calls = DaemonPool("calls", 64)
        self.paint = DaemonPool("paint", 1)
        # One thread: whoever sends wrong passwords gets one core of the machine at most.
        self.logins = DaemonPool("logins", 1)
        # Apart from the configuration's: targets and tokens may stand on a file system that hangs.
        self.places = DaemonPool("places", 8)
        self.parsing = DaemonPool("parsing", 2)
        self.past = DaemonPool("past", 2)
        # Apart from the pages: whoever asks for a large answer does not hold up a scrape.
        self.answers = DaemonPool("answers", 1)

    def abandoned(self) -> int:
        """Calls that outlived their deadlines and still hold a thread."""
        return sum(pool.abandoned for pool in vars(self).values())
