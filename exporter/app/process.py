"""What the process owes the system it runs on, and what it keeps to itself. Light: it is needed before all else."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers

# What a container runtime or a person sends to process 1, and means for the daemon.
_PASSED_ON = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH}
)
_INIT = 1


def settle_in() -> None:
    """Streams that are there, files that nobody else can read, no memory on disk."""
    _fill_streams()
    os.umask(0o077)
    # A core file would hold every secret in plain text.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # Who starts us may have blocked signals, and a mask is inherited: nobody could stop us.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _fill_streams() -> None:
    """The number of a closed stream would go to the next socket, and what is written to the stream into that."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long-lived as the process


def be_init() -> None:
    """As process 1: goes on in a child, and stays to pass signals on and to reap whatever is orphaned.

    A process of its own because it may reap anybody: in the daemon itself that would take the exit codes of children
    away from the plugins that wait for them.
    """
    if os.getpid() != _INIT:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    daemon = os.fork()
    if daemon:
        os._exit(_attend(daemon))
    # A group of its own: Ctrl-C in a terminal must not reach it twice, as the second would end it at once.
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _attend(daemon: int) -> int:
    """Until the daemon has ended; returns its exit code."""
    while True:
        number = signal.sigwait(_PASSED_ON | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(daemon, number)
            continue
        for pid, status in _ended():
            if pid == daemon:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else code


def _ended() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def leave(code: int) -> None:
    """Ends the process, whatever tasks and threads are still held."""
    # On a thread: nobody may be reading the other end, and a plugin may have written there.
    flush = threading.Thread(target=_flush, daemon=True)
    flush.start()
    flush.join(1.0)
    os._exit(code)


def _flush() -> None:
    with suppress(OSError, ValueError):
        sys.stdout.flush()


class Signals:
    """The handlers of the process. A plugin may change them behind our back: then they are taken back."""

    def __init__(self, handlers: Mapping[signal.Signals, Handler]) -> None:
        # Not ignored: that would be inherited by every program a plugin starts.
        quiet: dict[signal.Signals, Handler] = {signal.SIGUSR1: _do_nothing, signal.SIGUSR2: _do_nothing}
        self._handlers = {signal.SIGPIPE: signal.SIG_IGN, signal.SIGQUIT: signal.SIG_DFL, **quiet, **handlers}

    def take(self) -> list[str]:
        """Sets every handler that is not ours; returns the names of those signals."""
        changed = [number for number, handler in self._handlers.items() if signal.getsignal(number) != handler]
        for number in changed:
            signal.signal(number, self._handlers[number])
        return [number.name for number in changed]


class Backstop:
    """Ends the process in time, whatever the steps of a stop run into.

    Its thread is there from the beginning, and told over a pipe: a signal may come while the main thread holds one of
    the locks that starting a thread takes, or that of an event, and its handler would then wait for ever.
    """

    def __init__(self, seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._end = end
        self._wait, self._tell = os.pipe()
        standing = threading.Event()
        self._thread = threading.Thread(target=self._stand_by, args=(standing,), name="backstop", daemon=True)
        self._thread.start()
        # A thread that has been started takes one of those locks itself before it runs.
        standing.wait()

    def _stand_by(self, standing: threading.Event) -> None:
        standing.set()
        if code := os.read(self._wait, 1):
            ended, _, _ = select.select([self._wait], [], [], self._seconds)
            if not ended:
                self._end(code[0])

    def arm(self, code: int) -> None:
        """From now on the process has that long; called by handlers of signals."""
        os.write(self._tell, bytes([code]))

    def close(self) -> None:
        """The stop has come to its end by itself."""
        os.close(self._tell)
        self._thread.join()
        os.close(self._wait)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


class Reserve:
    """A few descriptors nobody else can have, for reading the configuration when there are no others left."""

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._kept: list[int] = []

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Lets go of them for as long as this lasts."""
        self._release()
        try:
            yield
        finally:
            self.fill()

    def _release(self) -> None:
        while self._kept:
            os.close(self._kept.pop())

    def fill(self) -> None:
        """Takes as many as there are."""
        with suppress(OSError):  # then there are fewer until the next time
            while len(self._kept) < self._size:
                self._kept.append(os.open(os.devnull, os.O_RDONLY))

    def close(self) -> None:
        """Lets go of them for good."""
        self._size = 0
        self._release()
