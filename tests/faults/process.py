"""The daemon as a real process: started in a folder of its own, asked over real sockets, looked at through /proc."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.page import Page

CHECKOUT = Path(__file__).parents[2]
_LISTENING = re.compile(r"msg=listening address=([^ ]+)")


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for something to become true; what it is goes into the complaint."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port nobody listens on, and that the system gives to nobody's connection meanwhile: it may be wanted again."""
    while True:
        port = random.randrange(20_000, 32_000)  # below what connections get
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> dict[str, object]:
        decoded: dict[str, object] = json.loads(self.body)
        return decoded


@dataclass(frozen=True)
class Vitals:
    """What a process holds; memory in MiB."""

    rss: float
    fds: int
    threads: int
    children: int


def python_path(*first: Path) -> str:
    """Where the daemon finds its modules: the plugins of a test, then what this run was told to test."""
    told = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([*map(str, first), *filter(None, [told]), str(CHECKOUT)])


class Daemon:
    """One run of `python -m exporter`; everything it writes goes into files of the folder."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], arguments: Sequence[str], name: str = "daemon"
    ) -> None:
        self.folder = folder / "run"
        self.folder.mkdir(exist_ok=True)
        self.stdout, self.stderr = folder / f"{name}.out", folder / f"{name}.err"
        own = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "PATH": os.environ["PATH"]}
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exporter", *arguments],
                cwd=self.folder,
                env={**own, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.pid = self.process.pid
        self.port = 0

    # -- over sockets

    def wait_ready(self, seconds: float = 20.0) -> None:
        """Waits until it listens and has made its first snapshot."""

        def listening() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log()}"
            return _LISTENING.search(self.log()) is not None

        until(listening, seconds, "the daemon listens")
        found = _LISTENING.search(self.log())
        assert found is not None
        self.port = int(found[1].rpartition(":")[2])
        until(lambda: self.get("/-/ready").status == 200, seconds, "the daemon is ready")

    def ask(self, method: str, path: str, timeout: float = 10.0, **headers: str) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, dict(response.getheaders()), body, time.monotonic() - began)
        finally:
            connection.close()

    def get(self, path: str, timeout: float = 10.0, **headers: str) -> Answer:
        return self.ask("GET", path, timeout, **headers)

    def page(self) -> Page:
        answer = self.get("/metrics")
        assert answer.status == 200
        return Page(answer.text)

    def reload(self, query: str = "") -> Answer:
        return self.ask("POST", f"/-/reload{query}")

    def first_event(self) -> bytes:
        """What the stream of events begins with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", "/events")
            response = connection.getresponse()
            seen = b""
            while b"data:" not in seen or not seen.endswith(b"\n\n"):
                seen += response.read1(65536)
            return seen
        finally:
            connection.close()

    # -- through the system

    def log(self) -> str:
        return self.stderr.read_text(errors="replace")

    def log_lines(self, *fragments: str, start: int = 0) -> list[str]:
        """The lines from this place of the log on that hold all the fragments."""
        return [line for line in self.log()[start:].splitlines() if all(part in line for part in fragments)]

    def command_line(self) -> bytes:
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    def vitals(self) -> Vitals:
        proc = Path(f"/proc/{self.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        tasks = list((proc / "task").iterdir())
        return Vitals(
            rss=pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
            fds=len(list((proc / "fd").iterdir())),
            threads=len(tasks),
            children=sum(len(ids.split()) for ids in _children(tasks)),
        )

    def peak_rss(self) -> float:
        """The most memory it ever had, in MiB; 0 once it is gone."""
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
            return int(found[1]) / 1024 if found else 0.0
        return 0.0

    def catches(self, number: signal.Signals) -> bool:
        """Whether the process has a handler of its own for a signal."""
        found = re.search(r"SigCgt:\s+([0-9a-f]+)", Path(f"/proc/{self.pid}/status").read_text())
        return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, seconds: float = 10.0) -> int:
        """Asks it to stop and returns the exit code; longer than it may take is an error."""
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        return self.ended(seconds)

    def ended(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not end within {seconds} s: {self.log()[-2000:]}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _children(tasks: Sequence[Path]) -> Iterator[str]:
    for task in tasks:
        with suppress(OSError):
            yield (task / "children").read_text()
