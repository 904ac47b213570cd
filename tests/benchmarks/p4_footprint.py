"""P4: what the daemon costs before it does anything, while it does nothing, and in memory."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from tests.benchmarks import servers
from tests.benchmarks.harness import SERVER_CPU, Goal, Row, Table, cpu_of, in_turn, pinned, watched
from tests.benchmarks.p2_publish import data
from tests.benchmarks.servers import HOST, NotInstalled, Server

# Of two of them the bare name loads only half: no server, no models.
_BARE = "from aiohttp import web; from pydantic import BaseModel; import prometheus_client, yaml, msgspec"
_NAMES = "import aiohttp, pydantic, prometheus_client, yaml, msgspec"
_TARGETS = (0, 100, 1_000)
_SERIES = (1_000, 10_000, 100_000)
_POINT = 10_000
_SCRAPES, _EVERY = 4, 15.0


def tables() -> Iterator[Table]:
    """Start, memory, idle."""
    yield _start()
    yield _memory()
    yield _idle()


# -- start


def _start() -> Table:
    table = Table("P4 start: to the first 200 of /metrics, beside the bare import of what it needs", "targets")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        spent: dict[str, list[float]] = {_BARE: [], _NAMES: []}
        works: dict[str, Callable[[], float]] = {code: partial(_bare, code, spent[code]) for code in (_BARE, _NAMES)}
        for count in _TARGETS:
            name = f"{count:,}"
            spent[name] = []
            works[name] = partial(_first_answer, _with_targets(Path(folder), count), spent[name])
        _start_rows(table, "ms to the first answer", in_turn(works, table))
        _start_rows(table, "CPU ms to the first answer", {name: statistics.median(ms) for name, ms in spent.items()})
        imports = _imports(_with_targets(Path(folder), 0))
    total = sum(imports.values())
    dearest = ", ".join(f"{name} {ms:.0f} ms" for name, ms in sorted(imports.items(), key=lambda it: -it[1])[:8])
    table.notes.append(f"imports, {total:.0f} ms in all with -X importtime: {dearest}")
    return table


def _start_rows(table: Table, case: str, found: dict[str, float]) -> None:
    bare, names = found.pop(_BARE), found.pop(_NAMES)
    for targets, milliseconds in found.items():
        goal = Goal(1 / 1.5, "ratio") if targets == "0" else None
        table.rows.append(Row(targets, case, milliseconds, "import of what it uses", bare, goal=goal))
        table.rows.append(Row(targets, case, milliseconds, "import of the bare names", names))


def _bare(code: str, spent: list[float]) -> float:
    begin, before = time.perf_counter(), os.times()
    subprocess.run(pinned(SERVER_CPU, [sys.executable, "-c", code]), check=True)
    after = os.times()
    spent.append((sum(after[2:4]) - sum(before[2:4])) * 1e3)
    return (time.perf_counter() - begin) * 1e3


def _with_targets(folder: Path, count: int) -> list[str]:
    """The command of a daemon that watches this many targets, none of which is there."""
    file = folder / f"{count}.yaml"
    lines = [
        f'    - {{name: target-{number}, type: webhook, format: webhook, url: "http://{HOST}:9/{number}"}}'
        for number in range(count)
    ]
    file.write_text("\n".join(["targets:", "  static:", *lines] if lines else ["targets: {}"]) + "\n")
    return [sys.executable, "-m", "exporter", f"--config.file={file}", "--log.level=error"]


def _first_answer(command: list[str], spent: list[float]) -> float:
    milliseconds, used, _ = _started(command)
    spent.append(used)
    return milliseconds


def _started(command: list[str]) -> tuple[float, float, bytes]:
    """Milliseconds from the start of the process to its first answer, those of CPU, and what it wrote."""
    port = servers.free_port()
    address = f"{HOST}:{port}"
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            pinned(SERVER_CPU, [*command, f"--web.listen-address={address}"]),
            cwd=servers.ROOT,
            stdout=output,
            stderr=output,
        )
        try:
            server = Server(process.pid, f"http://{address}/metrics")
            servers.answering(process, server, Path("/dev/null"), pause=0.002)
            taken = (time.perf_counter() - begin) * 1e3
            used = cpu_of(process.pid) * 1e3
        finally:
            process.terminate()
            process.wait(15)
        output.seek(0)
        return taken, used, output.read()


def _imports(command: list[str]) -> dict[str, float]:
    """Milliseconds spent in each package itself until the daemon serves."""
    python, *arguments = command
    spent: defaultdict[str, float] = defaultdict(float)
    for line in _started([python, "-X", "importtime", *arguments])[2].decode().splitlines():
        found = re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)", line)
        if found:
            package = found[2].lstrip("_") if found[2] not in sys.stdlib_module_names else "the standard library"
            spent[package] += int(found[1]) / 1e3
    return spent


# -- memory


def _memory() -> Table:
    table = Table("P4 memory: resident after scrapes in both encodings, while cycles run", "series")
    for series in _SERIES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
            ours = _resident(stack.enter_context(servers.daemon(Path(folder) / "ours", series)), Path(folder) / "ours")
            goal = Goal(60, "most", "MiB") if series == _POINT else None
            table.rows.append(Row(f"{series:,}", "MiB", ours, goal=goal))
            below = Goal(1, "ratio") if series == _POINT else None
            peers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
                "query-exporter": partial(servers.query_exporter, Path(folder), data(series)),
                "prometheus_client": partial(servers.prometheus_client, Path(folder), series),
            }
            for name, start in peers.items():
                try:
                    theirs = _resident(stack.enter_context(start()), Path(folder))
                except NotInstalled as missing:
                    table.notes.append(f"not measured: {name}: {missing}")
                    continue
                table.rows.append(Row(f"{series:,}", "MiB", ours, name, theirs, goal=below))
                below = None
    return table


def _resident(server: Server, folder: Path) -> float:
    servers.go(folder)
    for _ in range(6):
        for gzipped in (True, False):
            server.get(gzipped)
        time.sleep(0.5)
    return server.resident()


# -- idle


def _idle() -> Table:
    table = Table(
        f"P4 idle: CPU milliseconds per {_EVERY:.0f} s with one scrape, over {_SCRAPES * _EVERY:.0f} s", "series"
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        found = {"no targets": stack.enter_context(_default(Path(folder)))}
        for series in _SERIES:
            place = Path(folder) / str(series)
            found[f"{series:,}"] = stack.enter_context(servers.daemon(place, series, interval="15s"))
            servers.go(place)
        theirs: float | None = None
        try:
            found["node_exporter"] = stack.enter_context(_node_exporter(Path(folder)))
        except NotInstalled as missing:
            table.notes.append(f"not measured: node_exporter: {missing}")
        time.sleep(2)  # what the start left to do
        before = {name: cpu_of(server.pid) for name, server in found.items()}
        _, share = watched(partial(_scraped, list(found.values())), [server.pid for server in found.values()])
        table.foreign.append(share)
        spent = {name: (cpu_of(server.pid) - before[name]) / _SCRAPES * 1e3 for name, server in found.items()}
        theirs = spent.pop("node_exporter", None)
        for name, milliseconds in spent.items():
            goal = Goal(1, "ratio") if name == "no targets" else None
            table.rows.append(Row(name, "CPU ms", milliseconds, "node_exporter", theirs, goal=goal))
    return table


def _default(folder: Path) -> AbstractContextManager[Server]:
    port = servers.free_port()
    command = [sys.executable, "-m", "exporter", f"--web.listen-address={HOST}:{port}", "--log.level=warn"]
    return servers.running(command, port, folder)


def _node_exporter(folder: Path) -> AbstractContextManager[Server]:
    port = servers.free_port()
    program = servers.program("prometheus-node-exporter")
    return servers.running([program, f"--web.listen-address={HOST}:{port}", "--log.level=error"], port, folder)


def _scraped(found: list[Server]) -> float:
    for _ in range(_SCRAPES):
        begin = time.monotonic()
        for server in found:
            server.get(gzipped=True)
        time.sleep(max(0.0, _EVERY - (time.monotonic() - begin)))
    return 0.0
