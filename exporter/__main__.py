"""Entry point: takes the signals over before anything heavy is imported, then hands on to the command line."""

import os
import signal
import sys
from types import FrameType

from exporter.app import process


def _leave(signum: int, frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    process.settle_in()
    process.be_init()
    # The imports take a few hundred milliseconds; a stop or reload asked for meanwhile must not look like a crash.
    early: dict[signal.Signals, process.Handler] = {signal.SIGTERM: _leave, signal.SIGINT: _leave}
    process.Signals(early | {signal.SIGHUP: signal.SIG_IGN}).take()
    from exporter.cli import run

    process.leave(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
