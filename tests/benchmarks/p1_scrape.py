"""P1: what a scrape costs while cycles run, beside servers that render for each scrape and one of files."""

from __future__ import annotations

import gzip
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from exporter.model.metric import Samples
from tests.benchmarks import load, servers
from tests.benchmarks.harness import Goal, Row, Table, taken
from tests.benchmarks.p2_publish import LABELS, data, numbers
from tests.benchmarks.servers import NotInstalled, Server

SIZES = (100, 1_000, 10_000, 100_000)
POINT = 10_000
CONNECTIONS = 16
OURS, BARE = "ours", "ours, without the speed extra"
_LIBRARY, _GATEWAY, _QUERY = "prometheus_client", "pushgateway", "query-exporter"
_NGINX = ("nginx", "nginx, no sendfile")
_RATIOS = {
    (_LIBRARY, True): 2000.0,
    (_LIBRARY, False): 200.0,
    (_GATEWAY, True): 300.0,
    (_NGINX[0], True): 0.6,
    (_NGINX[0], False): 0.6,
}
_P99 = {10_000: 1.0, 100_000: 15.0}
_ENOUGH = Goal(10_000, "least", "/s")


def tables() -> Iterator[Table]:
    """One table for each size, so that something is seen before the last one is done."""
    for series in SIZES:
        table = Table(f"P1 scrape: {series:,} series, a cycle each second with 5 % new numbers", "series")
        try:
            servers.program("wrk")
            with tempfile.TemporaryDirectory(prefix="bench-", dir=_memory()) as folder, ExitStack() as stack:
                _compare(series, _started(series, Path(folder), stack, table), Path(folder), table)
        except NotInstalled as missing:
            table.notes.append(f"not measured: {missing}")
        yield table


def _memory() -> str | None:
    """Files that are served must not depend on a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _started(series: int, folder: Path, stack: ExitStack, table: Table) -> dict[str, Server]:
    samples = data(series)
    Path(folder).chmod(0o755)
    found: dict[str, Server] = {}

    def start(name: str, make: Callable[[Path], AbstractContextManager[Server]]) -> None:
        place = folder / str(len(list(folder.iterdir())))
        place.mkdir(mode=0o755)
        try:
            found[name] = stack.enter_context(make(place))
        except NotInstalled as missing:
            table.notes.append(f"not measured: {name}: {missing}")

    start(OURS, partial(servers.daemon, series=series))
    start(BARE, partial(servers.daemon, series=series, speed=False))
    start(_LIBRARY, partial(servers.prometheus_client, series=series))
    start(_GATEWAY, partial(servers.pushgateway, samples=samples))
    start(_QUERY, partial(servers.query_exporter, samples=samples))
    zipped = found[OURS].get(gzipped=True)
    for name, sendfile in zip(_NGINX, (True, False), strict=True):
        page = partial(servers.nginx, plain=gzip.decompress(zipped), gzipped=zipped, sendfile=sendfile)
        start(name, page)
    _check_equal(found, samples)
    return found


def _check_equal(found: dict[str, Server], samples: list[Samples]) -> None:
    """All must say the same before any is timed; some add labels and series of their own, one uses other names."""
    wanted = {key: value for column in samples for key, value in zip(column.keys, column.values, strict=True)}
    for name, server in found.items():
        for gzipped in (False, True):
            body = server.get(gzipped)
            page = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            if gzipped and body is page and name != _QUERY:
                raise AssertionError(f"{name} does not compress")
            if _values(page) != wanted:
                raise AssertionError(f"{name} does not serve the same numbers")


def _values(page: bytes) -> dict[tuple[str, ...], float]:
    """Values of the data set by its label values, which are different for each series."""
    ours = b"\n".join(line for line in page.splitlines() if b'app="service-' in line)
    found = {}
    for series, value in numbers(ours).items():
        labels = dict(part.decode().split("=", 1) for part in series if b"=" in part)
        found[tuple(labels[label].strip('"') for label in LABELS)] = value
    return found


def _compare(series: int, running: dict[str, Server], folder: Path, table: Table) -> None:
    for place in folder.iterdir():
        if (place / "config.yaml").exists():
            servers.go(place)
    pids = [server.pid for server in running.values()]
    for gzipped in (True, False):
        asked = {name: server for name, server in running.items() if not (gzipped and name == _QUERY)}
        speeds = taken({name: load.speed(server, CONNECTIONS, gzipped) for name, server in asked.items()}, table, pids)
        table.rows += _rate_rows(series, gzipped, "answers/s", _medians(speeds, 0))
        table.rows += _rate_rows(series, gzipped, "answers per CPU second", _medians(speeds, 1))
        quick = [name for name in (OURS, BARE, *_NGINX) if name in asked]
        delays = taken({name: load.delay(asked[name], gzipped) for name in quick}, table, pids)
        table.rows += _delay_rows(series, gzipped, _medians(delays, 0))
        longest = ", ".join(f"{number:.3g} ms ({name})" for name, number in _medians(delays, 1).items())
        table.notes.append(f"longest answer over one connection, {_encoding(gzipped)}, in the median: {longest}")


def _medians(found: Mapping[str, Sequence[Sequence[float]]], at: int) -> dict[str, float]:
    return {name: statistics.median(sample[at] for sample in samples) for name, samples in found.items()}


def _encoding(gzipped: bool) -> str:
    return "gzip" if gzipped else "plain"


def _rate_rows(series: int, gzipped: bool, unit: str, rates: dict[str, float]) -> Iterator[Row]:
    size, case, point = f"{series:,}", f"{_encoding(gzipped)}, {unit}", series == POINT
    enough = _ENOUGH if point and gzipped else None
    yield Row(size, f"{case}, without speed extra", rates[BARE], more_is_better=True)
    yield Row(size, case, rates[OURS], more_is_better=True, goal=enough)
    for name, rate in _peers(rates, max).items():
        limit = _RATIOS.get((name, gzipped)) if point else None
        goal = None if limit is None else Goal(limit, "ratio")
        yield Row(size, case, rates[OURS], name, rate, more_is_better=True, goal=goal)


def _delay_rows(series: int, gzipped: bool, delays: dict[str, float]) -> Iterator[Row]:
    size, case = f"{series:,}", f"{_encoding(gzipped)}, p99 ms, 1 connection"
    goal = Goal(_P99[series], "most", "ms") if series in _P99 else None
    yield Row(size, f"{case}, without speed extra", delays[BARE])
    yield Row(size, case, delays[OURS], goal=goal)
    for name, delay in _peers(delays, min).items():
        yield Row(size, case, delays[OURS], name, delay)


def _peers(found: dict[str, float], better: Callable[[list[float]], float]) -> dict[str, float]:
    """Everyone but us; the file server once, with the better of its two settings."""
    files = [found[name] for name in _NGINX if name in found]
    others = {name: number for name, number in found.items() if name not in (OURS, BARE, *_NGINX)}
    return others | ({_NGINX[0]: better(files)} if files else {})
