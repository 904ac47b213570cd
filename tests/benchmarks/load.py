"""Load on a server, from the other cpu."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.benchmarks.harness import LOAD_CPU, cpu_of, pinned
from tests.benchmarks.servers import Server, program

_SECONDS = 1
# A server that takes longer than this for one answer is asked one by one: it would give too few in the time there is.
_SLOW = 0.03
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SAID = re.compile(
    r"Latency\s+\S+\s+\S+\s+(?P<longest>\S+).*\n\s+99%\s+(?P<p99>\S+)\s.*"
    r"\s(?P<answers>\d+) requests in .*Requests/sec:\s+(?P<rate>[\d.]+)",
    re.DOTALL,
)


class Speed(NamedTuple):
    """Answers per second, and per second of the server's CPU: the latter hardly changes when others use the machine."""

    per_second: float
    per_cpu_second: float


def speed(server: Server, connections: int, gzipped: bool) -> Callable[[], Speed]:
    """What measures how many answers there are."""
    slow = _one(server, gzipped) > _SLOW

    def measure() -> Speed:
        used = cpu_of(server.pid)
        if slow:
            answers, per_second = 1.0, 1.0 / _one(server, gzipped)
        else:
            load = _wrk(server, connections, gzipped)
            answers, per_second = load.answers, load.per_second
        return Speed(per_second, answers / (cpu_of(server.pid) - used))

    return measure


class Delay(NamedTuple):
    """Milliseconds over one connection: 99 in 100 answers, and the longest, where a cycle shows that holds the loop."""

    p99: float
    longest: float


def delay(server: Server, gzipped: bool) -> Callable[[], Delay]:
    """What measures how long an answer takes."""
    return lambda: _wrk(server, 1, gzipped).delay


def _one(server: Server, gzipped: bool) -> float:
    begin = time.perf_counter()
    server.get(gzipped)
    return time.perf_counter() - begin


class _Load(NamedTuple):
    answers: float
    per_second: float
    delay: Delay


def _wrk(server: Server, connections: int, gzipped: bool) -> _Load:
    options = ["-t1", f"-c{connections}", f"-d{_SECONDS}s", "--timeout", "60s", "--latency"]
    if gzipped:
        options += ["-H", "Accept-Encoding: gzip"]
    command = pinned(LOAD_CPU, [program("wrk"), *options, server.url])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = _SAID.search(said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk on {server.url}: {said}")
    delay = Delay(_milliseconds(found["p99"]), _milliseconds(found["longest"]))
    return _Load(float(found["answers"]), float(found["rate"]), delay)


def _milliseconds(text: str) -> float:
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]
