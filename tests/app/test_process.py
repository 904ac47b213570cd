"""What the process owes the system."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.app import process
from exporter.app.process import Backstop, Reserve, Signals

PATIENCE = 30.0


def python(code: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a program of a few lines in a process of its own, which may do to itself what it likes."""
    command = f'exec "$0" -c "$1" {shell}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable, code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.fixture
def handlers() -> Iterator[None]:
    """Leaves the handlers of this process as they were."""
    kept = {number: signal.getsignal(number) for number in signal.Signals}
    yield
    for number, handler in kept.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


def test_files_are_private_and_there_is_no_core_file() -> None:
    done = python(
        "import os, resource, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "from exporter.app import process; process.settle_in()\n"
        "print(os.umask(0), resource.getrlimit(resource.RLIMIT_CORE)[0], signal.pthread_sigmask(0, ()))"
    )
    assert done.stdout == f"{0o077} 0 set()\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_number_of_a_closed_stream_is_not_given_to_the_next_file(closed: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    python(
        "from exporter.app import process; process.settle_in()\n"
        f"file = open({str(told)!r}, 'w')\n"
        "print('into the void')\n"
        "file.write(str(file.fileno() > 2))",
        closed,
    )
    assert told.read_text() == "True"


INIT = """
import os, signal, subprocess, sys, time
from exporter.app import process
os.getpid = lambda: 1
process.be_init()
signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
"""


def test_as_process_1_it_goes_on_in_a_child_and_leaves_with_its_code() -> None:
    assert python(INIT + "os._exit(3)").returncode == 3


def test_as_process_1_a_signal_that_ended_the_child_becomes_a_code_as_in_a_shell() -> None:
    assert python(INIT + "signal.raise_signal(signal.SIGKILL)").returncode == 128 + 9


def test_as_process_1_signals_are_passed_on() -> None:
    assert python(INIT + "os.kill(os.getppid(), signal.SIGUSR1)\ntime.sleep(30)").returncode == 7


def test_as_process_1_other_children_are_reaped_and_the_daemon_goes_on() -> None:
    orphan = "if not os.fork(): os._exit(1)\n"
    before = INIT.replace("process.be_init()", orphan + "process.be_init()")
    assert python(before + "time.sleep(0.3); os._exit(4)").returncode == 4


def test_any_other_process_is_no_init() -> None:
    assert process.be_init() is None  # type: ignore[func-returns-value]


def test_what_is_left_to_write_does_not_hold_the_end() -> None:
    reader, writer = os.pipe()
    left = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys\nfrom exporter.app import process\n"
            "os.set_blocking(1, False)\n"
            "try:\n    while True: os.write(1, b'x' * 65536)\n"
            "except BlockingIOError: os.set_blocking(1, True)\n"
            "sys.stdout.write('more'); process.leave(5)",
        ],
        stdout=writer,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        assert left.wait(PATIENCE) == 5
    finally:
        left.kill()
        left.wait()
        os.close(reader)
        os.close(writer)


def test_what_was_written_is_there_at_the_end() -> None:
    done = python("import sys\nfrom exporter.app import process\nsys.stdout.write('all'); process.leave(6)")
    assert (done.stdout, done.returncode) == ("all", 6)


@pytest.mark.usefixtures("handlers")
def test_handlers_that_were_changed_are_taken_back() -> None:
    asked = threading.Event()
    signals = Signals({signal.SIGTERM: lambda number, frame: asked.set()})
    assert "SIGTERM" in signals.take()
    assert signals.take() == []
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    assert sorted(signals.take()) == ["SIGPIPE", "SIGTERM"]
    signal.raise_signal(signal.SIGTERM)
    assert asked.is_set()
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)


def test_the_reserve_can_be_opened_when_nothing_else_can() -> None:
    reserve = Reserve(2)
    reserve.fill()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd"))) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    opened: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(soft))
        with reserve.lent():
            os.close(os.open(os.devnull, os.O_RDONLY))
            opened.append(os.open(os.devnull, os.O_RDONLY))  # one that was not given back
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in opened:
            os.close(number)
        reserve.close()


def test_a_stop_that_does_not_end_is_ended() -> None:
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    backstop = Backstop(0.01, end)
    backstop.arm(1)
    assert ended.wait(PATIENCE)
    backstop.close()
    assert codes == [1]


@pytest.mark.parametrize("armed", [True, False])
def test_a_stop_that_ends_by_itself_is_let_be(armed: bool) -> None:
    codes: list[int] = []
    before = len(os.listdir("/proc/self/fd"))
    backstop = Backstop(PATIENCE, codes.append)
    if armed:
        backstop.arm(1)
    backstop.close()
    assert codes == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_signal_may_come_while_a_thread_is_being_started() -> None:
    # Not with os._exit: what measures coverage does things before it, and needs that lock.
    done = python(
        "import os, signal, threading, time\n"
        "from exporter.app.process import Backstop\n"
        "backstop = Backstop(0.05, lambda code: os.kill(os.getpid(), code))\n"
        "signal.signal(signal.SIGUSR1, lambda *_: backstop.arm(signal.SIGKILL))\n"
        "with threading._active_limbo_lock:\n"
        "    signal.raise_signal(signal.SIGUSR1)\n"
        "    time.sleep(20)"
    )
    assert done.returncode == -signal.SIGKILL
