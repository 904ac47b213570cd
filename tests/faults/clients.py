"""Clients as no library would be one: they send any bytes, and see how the connection ends."""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What came back, and whether the server ended the connection."""

    raw: bytes
    closed: bool
    seconds: float

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def code(self) -> str:
        """The code of an error of ours."""
        decoded: dict[str, Any] = json.loads(self.body)
        return str(decoded["error"]["code"])

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            if line.lower().startswith(name.lower().encode() + b":"):
                return line.partition(b":")[2].strip().decode()
        return None

    def whole(self) -> bool:
        """Whether all of one answer is there."""
        return b"\r\n\r\n" in self.raw and len(self.body) >= int(self.header("Content-Length") or 0)


class Client:
    """One connection."""

    def __init__(self, port: int, first: bytes = b"", window: int = 0) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(10.0)
        self.socket.connect(("127.0.0.1", port))
        self.began = time.monotonic()
        self.send(first)

    def send(self, data: bytes) -> bool:
        """Whether the server took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def hear(self, seconds: float, to_the_end: bool = True) -> Said:
        """What comes until the server ends the connection, or until there is a whole answer."""
        raw, closed, deadline = b"", False, time.monotonic() + seconds
        while not closed and time.monotonic() < deadline:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = self.socket.recv(65536)
            except TimeoutError:
                break
            except OSError:
                piece = b""
            raw += piece
            closed = not piece
            if not to_the_end and Said(raw, closed, 0.0).whole():
                break
        return Said(raw, closed, time.monotonic() - self.began)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends it as a crash does."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def ask(port: int, data: bytes, seconds: float = 5.0, to_the_end: bool = False) -> Said:
    """One exchange on a connection of its own."""
    client = Client(port, data)
    try:
        return client.hear(seconds, to_the_end)
    finally:
        client.close()


def get(path: str, *lines: str, method: str = "GET", host: str = "x") -> bytes:
    """A request in bytes."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "\r\n"]).encode()
