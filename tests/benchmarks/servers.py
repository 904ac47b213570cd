"""The servers that are compared, each started as its users start it and stopped at the end."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import generate_latest

from exporter.model.metric import Samples
from tests.benchmarks.harness import SERVER_CPU, pinned
from tests.benchmarks.p2_publish import LABELS, registry

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
_PACKAGES = {
    "nginx": "nginx",
    "wrk": "wrk",
    "prometheus-pushgateway": "prometheus-pushgateway",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-blackbox-exporter": "prometheus-blackbox-exporter",
}


class NotInstalled(Exception):
    """A peer that cannot be compared with here."""


def program(name: str) -> str:
    """The path of a program, also of one that Debian keeps for root or pip puts beside Python."""
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.exists() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        how = f"apt-get install {_PACKAGES[name]}" if name in _PACKAGES else f"pip install {name}"
        raise NotInstalled(f"{name} is not installed ({how})")
    return path


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers."""

    pid: int
    url: str

    def get(self, gzipped: bool = False) -> bytes:
        """The page as it goes over the wire."""
        request = urllib.request.Request(self.url, headers={"Accept-Encoding": "gzip"} if gzipped else {})
        with urllib.request.urlopen(request, timeout=120) as answer:
            body: bytes = answer.read()
            return body

    def resident(self) -> float:
        """MiB of memory in use."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], port: int, folder: Path, path: str = "/metrics", env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts a server on the server's cpu and waits until it answers."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(SERVER_CPU, command), env=os.environ | dict(env or {}), cwd=ROOT, stdout=output, stderr=output
        )
    try:
        server = Server(process.pid, f"http://{HOST}:{port}{path}")
        answering(process, server, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answering(process: subprocess.Popen[bytes], server: Server, log: Path, pause: float = 0.02) -> None:
    """Waits for the first answer."""
    until = time.monotonic() + 60
    while True:
        try:
            server.get()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args!r} does not answer: {log.read_text()[-500:]}") from error
        time.sleep(pause)


@contextmanager
def daemon(folder: Path, series: int, interval: str = "1s", speed: bool = True) -> Iterator[Server]:
    """Our own, with the plugin installed as any other; `speed` False: as if the extra of that name were not there."""
    port = free_port()
    info = folder / "moving-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moving\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[platform_exporter.collectors]\nmoving = tests.benchmarks.moving\n")
    if not speed:
        for name in ("uvloop", "isal"):
            (folder / f"{name}.py").write_text("raise ImportError\n")
    config = folder / "config.yaml"
    config.write_text(
        f"cycle: {{interval: {interval}, timeout: 1s}}\n"
        "plugins: [moving]\n"
        f"collectors: {{moving: {{series: {series}, starter: {folder}/go}}}}\n"
        "limits: {series_per_collector: 200000, series_total: 400000}\n"
        f'web: {{listen_addresses: ["{HOST}:{port}"]}}\n'
    )
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", "--log.level=warn"]
    with running(command, port, folder, env={"PYTHONPATH": f"{folder}:{ROOT}"}) as server:
        while b"exporter_service_metric_0" not in server.get():
            time.sleep(0.02)
        yield server


def go(folder: Path) -> None:
    """Sets the numbers of a daemon in motion."""
    (folder / "go").touch()


@contextmanager
def prometheus_client(folder: Path, series: int) -> Iterator[Server]:
    """The library's own server."""
    port = free_port()
    with running([sys.executable, "-m", "tests.benchmarks.library", str(series), str(port)], port, folder) as server:
        yield server


@contextmanager
def pushgateway(folder: Path, samples: list[Samples]) -> Iterator[Server]:
    """A server in Go that only hands out what it was given."""
    port = free_port()
    # Debian's keeps what it is given in a file of the system, and would serve it at the next start.
    options = [f"--web.listen-address={HOST}:{port}", "--log.level=error", "--persistence.file="]
    command = [program("prometheus-pushgateway"), *options]
    with running(command, port, folder) as server:
        page = generate_latest(registry(samples))
        request = urllib.request.Request(f"http://{HOST}:{port}/metrics/job/bench", data=page, method="POST")
        urllib.request.urlopen(request, timeout=120).close()
        _holding(server, sum(len(column.keys) for column in samples))  # it takes what it is given, and sorts it later
        yield server


_NGINX = """
daemon off; master_process off; {user} pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type text/plain; {sending}
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  open_file_cache max=10 inactive=1h; open_file_cache_valid 1h; gzip_static on; gzip_vary on;
  server {{ listen {host}:{port}; root {folder}; }}
}}
"""


@contextmanager
def nginx(folder: Path, plain: bytes, gzipped: bytes, sendfile: bool) -> Iterator[Server]:
    """A file server with these bytes as files."""
    if gzip.decompress(gzipped) != plain:
        raise AssertionError("the two files are not the same page")
    port = free_port()
    (folder / "metrics").write_bytes(plain)
    (folder / "metrics.gz").write_bytes(gzipped)
    sending = "sendfile on;" if sendfile else "sendfile off; output_buffers 1 16m;"
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, host=HOST, port=port, sending=sending, user=user))
    with running([program("nginx"), "-e", f"{folder}/errors", "-c", str(config)], port, folder) as server:
        yield server


@contextmanager
def query_exporter(folder: Path, samples: list[Samples]) -> Iterator[Server]:
    """An exporter on aiohttp too, with the same numbers in a database."""
    command = program("query-exporter")
    port = free_port()
    with sqlite3.connect(folder / "data.db") as database:
        database.execute(f"create table series (value real, {', '.join(f'{label} text' for label in LABELS)})")
        rows = [(value, *key) for column in samples for key, value in zip(column.keys, column.values, strict=True)]
        database.executemany("insert into series values (?, ?, ?, ?)", rows)
    database.close()
    config = folder / "query.yaml"
    config.write_text(
        f'databases: {{data: {{dsn: "sqlite:///{folder}/data.db"}}}}\n'
        f"metrics: {{value: {{type: gauge, description: numbers, labels: [{', '.join(LABELS)}]}}}}\n"
        "queries: {all: {interval: 3600, databases: [data], metrics: [value], sql: select * from series}}\n"
    )
    arguments = ["-H", HOST, "-p", str(port), "-L", "error", "--config", str(config)]
    with running([command, *arguments], port, folder) as server:
        _holding(server, len(rows))
        yield server


def _holding(server: Server, series: int) -> None:
    """Waits until all of the data set is there."""
    until = time.monotonic() + 60
    while server.get().count(b'app="service-') < series and time.monotonic() < until:
        time.sleep(0.1)
