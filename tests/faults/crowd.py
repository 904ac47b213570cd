"""A crowd of bad clients in a process of its own: `python -m tests.faults.crowd PORT HALF_OPEN READERS SECONDS`.

It keeps so many connections open that send half of a request, opening two thousand a second until there are as many,
and again where they are ended; and so many that ask for the page again and again and read nothing. After these seconds
it opens no more, waits until all have been ended by the other side, and prints what it saw as JSON.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

RATE = 2000.0
HALF, WHOLE = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
TIMES = 300  # more than the system holds for a reader, however small the page is
PATIENCE = 150.0


@dataclass
class Seen:
    opened: int = 0
    most: int = 0  # at once
    longest: float = 0.0  # that one of those with half a request was kept
    longest_reader: float = 0.0
    left: int = 0  # never ended


class Crowd:
    def __init__(self, port: int, half_open: int, readers: int) -> None:
        self._port = port
        self._wanted = half_open
        self._poll = select.poll()
        self._open: dict[int, tuple[socket.socket, float, bool]] = {}
        self._half = 0
        self.seen = Seen()
        for _ in range(readers):
            self._add(WHOLE * TIMES, True)

    def _add(self, first: bytes, reader: bool) -> None:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", self._port))
        with suppress(OSError):
            one.sendall(first)
        self._open[one.fileno()] = (one, time.monotonic(), reader)
        # A reader has something to read all the time: only an end is news.
        self._poll.register(one, 0 if reader else select.POLLIN)

    def _look(self) -> None:
        for number, _ in self._poll.poll(10):
            one, since, reader = self._open.pop(number)
            self._poll.unregister(number)
            one.close()
            lived = time.monotonic() - since
            if reader:
                self.seen.longest_reader = max(self.seen.longest_reader, lived)
            else:
                self._half -= 1
                self.seen.longest = max(self.seen.longest, lived)

    def stay(self, seconds: float) -> None:
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            allowed = RATE * now - self.seen.opened
            for _ in range(int(min(allowed, self._wanted - self._half, 50))):
                self._add(HALF, False)
                self._half += 1
                self.seen.opened += 1
            self.seen.most = max(self.seen.most, self._half)
            self._look()

    def leave(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < deadline:
            self._look()
        self.seen.left = len(self._open)


def main(port: int, half_open: int, readers: int, seconds: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = Crowd(port, half_open, readers)
    crowd.stay(seconds)
    crowd.leave()
    print(json.dumps(asdict(crowd.seen)))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
