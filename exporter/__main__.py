"""Entry point: takes the signals over before anything heavy is imported, then hands on to the command line."""

import contextlib
import os
import signal
import sys
from types import FrameType


def _leave(signum: int, frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    # The imports take a few hundred milliseconds; a stop or reload asked for meanwhile must not look like a crash.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from exporter.cli import run

    code = run(sys.argv[1:])
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    # Not sys.exit: the interpreter would wait for tasks and threads that have been given up.
    os._exit(code)


if __name__ == "__main__":
    main()
