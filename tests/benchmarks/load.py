"""Load on a server, from the other cpu."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from tests.benchmarks.harness import LOAD_CPU, cpu_of, pinned
from tests.benchmarks.servers import Server, program

_SECONDS = 1
# A server that takes longer than this for one answer is asked one by one: it would give too few in the time there is.
_SLOW = 0.1
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SAID = re.compile(
    r"Latency\s+\S+\s+\S+\s+(?P<longest>\S+).*\n\s+99%\s+(?P<p99>\S+)\n.*Requests/sec:\s+(?P<rate>[\d.]+)", re.DOTALL
)


def rate(server: Server, connections: int, gzipped: bool, per_cpu: list[float]) -> Callable[[], float]:
    """What measures the answers per second.

    Those per second of the server's CPU go to `per_cpu`: they hardly change when others use the machine too.
    """
    slow = _one(server, gzipped) > _SLOW

    def measure() -> float:
        used = cpu_of(server.pid)
        speed = 1.0 / _one(server, gzipped) if slow else _wrk(server, connections, gzipped)[0]
        answers = 1.0 if slow else speed * _SECONDS
        per_cpu.append(answers / (cpu_of(server.pid) - used))
        return speed

    return measure


def p99(server: Server, gzipped: bool, longest: list[float]) -> Callable[[], float]:
    """What measures, in milliseconds, how long all but one in a hundred answers take over one connection.

    The longest of each second goes to `longest`: a cycle that holds the loop shows there.
    """
    if _one(server, gzipped) > _SLOW:
        return lambda: 1e3 * max(_one(server, gzipped) for _ in range(3))

    def measure() -> float:
        _, most, worst = _wrk(server, 1, gzipped)
        longest.append(worst)
        return most

    return measure


def _one(server: Server, gzipped: bool) -> float:
    begin = time.perf_counter()
    server.get(gzipped)
    return time.perf_counter() - begin


def _wrk(server: Server, connections: int, gzipped: bool) -> tuple[float, float, float]:
    """Answers per second, and milliseconds of the 99th percentile and of the longest."""
    options = ["-t1", f"-c{connections}", f"-d{_SECONDS}s", "--timeout", "60s", "--latency"]
    if gzipped:
        options += ["-H", "Accept-Encoding: gzip"]
    command = pinned(LOAD_CPU, [program("wrk"), *options, server.url])
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = _SAID.search(said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk on {server.url}: {said}")
    longest, percentile, per_second = found["longest"], found["p99"], found["rate"]
    return float(per_second), _milliseconds(percentile), _milliseconds(longest)


def _milliseconds(text: str) -> float:
    number, unit = text[: -len(text.lstrip("0123456789."))], text.lstrip("0123456789.")
    return float(number) * _UNITS[unit]
