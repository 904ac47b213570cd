"""P9: what a probe by the health collector costs, beside blackbox_exporter with the same checks."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from exporter.collectors.health import Health, Options, build
from exporter.collectors.parts import Parts
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Run
from exporter.model.metric import Result
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.health import HealthDetail
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.tls import TlsOptions
from tests.benchmarks import servers
from tests.benchmarks.harness import LOAD_CPU, SERVER_CPU, Goal, Row, Table, cpu_of, in_turn, pinned
from tests.benchmarks.servers import HOST, NotInstalled, Server
from tests.benchmarks.targets import TLS

SIZES = (10, 100, 1_000)
_GATED = (100, 1_000)
_EACH = 15.0
_CONCURRENCY = 50
_LEAST = 500  # probes in a sample
_MODULES = {
    "http": {"prober": "http", "timeout": "5s", "http": {"preferred_ip_protocol": "ip4", "follow_redirects": False}},
    "https": {
        "prober": "http",
        "timeout": "5s",
        "http": {
            "preferred_ip_protocol": "ip4",
            "follow_redirects": False,
            "fail_if_not_ssl": True,
            "tls_config": {"ca_file": str(TLS / "ca.pem")},
        },
    },
}


def tables() -> Iterator[Table]:
    """One table for each protocol."""
    for scheme in _MODULES:
        table = Table(f"P9 probes over {scheme}: a new connection for each, {_CONCURRENCY} at once", "targets")
        for size in SIZES:
            _compare(scheme, size, table)
        yield table


def _compare(scheme: str, size: int, table: Table) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        ports = stack.enter_context(_targets(size, scheme))
        ours = {
            "ours": stack.enter_context(_worker("uvloop", scheme, ports)),
            "ours, default loop": stack.enter_context(_worker("asyncio", scheme, ports)),
        }
        works: dict[str, Callable[[], float]] = {name: worker.measure for name, worker in ours.items()}
        pids = [worker.process.pid for worker in ours.values()]
        try:
            servers.program("wrk")
            peer = stack.enter_context(_blackbox(Path(folder)))
            pids.append(peer.pid)
            _check_blackbox(peer, scheme, ports)
            works["blackbox_exporter"] = partial(_asked, peer, _script(Path(folder), scheme, ports))
        except NotInstalled as missing:
            table.notes.append(f"not measured: {missing}")
        found = in_turn(works, table, pids)
    theirs = found.pop("blackbox_exporter", None)
    for name, per_second in found.items():
        goal = Goal(1.5, "ratio") if name == "ours" and size in _GATED else None
        case = "probes per CPU second" + name.removeprefix("ours")
        table.rows.append(Row(f"{size:,}", case, per_second, "blackbox_exporter", theirs, True, goal))
    share = Goal(1, "most", "%") if size == 1_000 else None
    used = 100 * size / found["ours"] / _EACH
    table.rows.append(Row(f"{size:,}", f"% of a core, each every {_EACH:.0f} s", used, goal=share))


# -- what is probed


@contextmanager
def _targets(count: int, scheme: str) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "tests.benchmarks.targets", str(count), scheme]
    process = subprocess.Popen(pinned(LOAD_CPU, command), cwd=servers.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield [int(port) for port in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait()


# -- ours, in a process of its own


@dataclass(frozen=True, slots=True)
class _Worker:
    process: subprocess.Popen[str]

    def measure(self) -> float:
        """Probes per CPU second of one sample."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the prober ended")
        return float(line)


@contextmanager
def _worker(loop: str, scheme: str, ports: list[int]) -> Iterator[_Worker]:
    command = [sys.executable, "-m", "tests.benchmarks.p9_probes", loop, scheme, *map(str, ports)]
    process = subprocess.Popen(
        pinned(SERVER_CPU, command), cwd=servers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        worker = _Worker(process)
        worker.measure()  # sees that all is well, and warms up
        yield worker
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(15)


class _Leaps:
    """The clock of the system, with the time between two runs left out: each finds all targets due."""

    def __init__(self) -> None:
        self.left_out = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.left_out

    def wall(self) -> float:
        return time.time() + self.left_out


async def _work(scheme: str, ports: list[int]) -> None:
    """For each line that comes in: probes everything, several times if it is little, and says how cheap it was."""
    clock = _Leaps()
    tls = TlsOptions(ca_file=TLS / "ca.pem") if scheme == "https" else TlsOptions()
    prober = Prober(DaemonPool("names", 2), AddressPolicy(), clock, tls)
    directory = TargetDirectory()
    directory.replace(
        Target(f"target-{port}", "webhook", "webhook", Secret(f"{scheme}://{HOST}:{port}/")) for port in ports
    )
    parts = Parts(clock=clock, prefix="publishing", tick=_EACH, targets=directory, prober=prober)
    health = build(Options(interval=_EACH, concurrency=_CONCURRENCY, timeout=60.0), parts)
    rounds = max(1, _LEAST // len(ports))
    loop = asyncio.get_running_loop()
    for number in itertools.count(1):
        if not await loop.run_in_executor(None, sys.stdin.readline):
            break
        begin = time.process_time()
        for _ in range(rounds):
            clock.left_out += _EACH
            result = await _run(health, clock)
        used = time.process_time() - begin
        _check(result, number * rounds)
        print(rounds * len(ports) / used, flush=True)
    await prober.close()


async def _run(health: Health, clock: _Leaps) -> Result:
    return await health.collect(Run(1, clock.monotonic() + 60.0, clock.wall()))


def _check(result: Result, rounds: int) -> None:
    detail = result.detail
    assert isinstance(detail, HealthDetail)
    for target in detail.targets:
        if (target.checks, target.failures) != (rounds, 0):
            raise AssertionError(f"{target.name}: {target.checks} of {rounds} probes, {target.failures} failed")


# -- the peer


@contextmanager
def _blackbox(folder: Path) -> Iterator[Server]:
    port = servers.free_port()
    config = folder / "blackbox.yml"
    config.write_text(json.dumps({"modules": _MODULES}))
    program = servers.program("prometheus-blackbox-exporter")
    command = [program, f"--config.file={config}", f"--web.listen-address={HOST}:{port}", "--log.level=error"]
    with servers.running(command, port, folder) as server:
        yield server


def _query(scheme: str, port: int) -> str:
    return f"/probe?module={scheme}&target={scheme}://{HOST}:{port}/"


def _check_blackbox(server: Server, scheme: str, ports: list[int]) -> None:
    address = server.url.removesuffix("/metrics")
    for port in ports:
        page = Server(server.pid, address + _query(scheme, port)).get()
        if b"\nprobe_success 1\n" not in page or (scheme == "https") != (b"\nprobe_ssl_earliest" in page):
            raise AssertionError(f"blackbox_exporter does not find {scheme} at {port} in order")


def _script(folder: Path, scheme: str, ports: list[int]) -> Path:
    paths = ", ".join(f'"{_query(scheme, port)}"' for port in ports)
    script = folder / "probes.lua"
    script.write_text(
        f"local paths, at = {{{paths}}}, 0\n"
        "request = function() at = at % #paths + 1; return wrk.format('GET', paths[at]) end\n"
    )
    return script


def _asked(server: Server, script: Path) -> float:
    """Probes per CPU second; its own answers, which are its only way to tell, included."""
    options = ["-t1", f"-c{_CONCURRENCY}", "-d1s", "--timeout", "20s", "-s", str(script)]
    command = pinned(LOAD_CPU, [servers.program("wrk"), *options, server.url.removesuffix("/metrics")])
    begin = cpu_of(server.pid)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_of(server.pid) - begin
    done = re.search(r"(\d+) requests in", said)
    if done is None or "Non-2xx" in said:
        raise RuntimeError(f"wrk: {said}")
    return int(done[1]) / used


if __name__ == "__main__":
    factory = uvloop.new_event_loop if sys.argv[1] == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_work(sys.argv[2], list(map(int, sys.argv[3:]))))
    os._exit(0)
