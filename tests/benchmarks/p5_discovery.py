"""P5: what it costs to list Secrets and make targets of them, beside the typed models of the client library."""

from __future__ import annotations

import asyncio
import base64
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exporter.engine.clock import SystemClock
from exporter.engine.threads import DaemonPool
from exporter.publishing.listing import Listing
from exporter.publishing.policy import AddressPolicy
from exporter.publishing.secret import read_secret
from exporter.sources.kubernetes import Cluster, ClusterOptions
from exporter.sources.kubernetes.objects import Page, decode
from tests.benchmarks import servers
from tests.benchmarks.harness import LOAD_CPU, SERVER_CPU, Goal, Row, Table, in_turn, pinned
from tests.fakes.kubernetes.api import KubernetesApi

SIZES = (500, 5_000, 20_000)
_GATED = 5_000
_PAGE = 500
_PLACE, _EMPTY, _SELECTOR = "alerts", "empty", "publishing-target=true"
_LABELS = {"publishing-target": "true"}
_PEER = "client models"


def tables() -> Iterator[Table]:
    """Decoding alone, then everything over a connection."""
    table = Table("P5 discovery: Secrets listed over a connection and made targets of", "Secrets")
    _decoding(table)
    for size in SIZES:
        _compare(size, table)
    yield table


def _goal(size: int, goal: Goal) -> Goal | None:
    return goal if size == _GATED else None


def _decoding(table: Table) -> None:
    from kubernetes.aio.client import ApiClient, Configuration

    body = _body(_PAGE)
    client = ApiClient(Configuration())
    works: dict[str, Callable[[], float]] = {
        "ours": partial(_cpu, lambda: decode(body, Page)),
        _PEER: partial(_cpu, lambda: client.deserialize(body.decode(), "V1SecretList", "application/json")),
    }
    theirs = client.deserialize(body.decode(), "V1SecretList", "application/json")
    assert [item.data for item in decode(body, Page).items or ()] == [item.data for item in theirs.items]
    found = in_turn(works, table)
    goal = Goal(50, "ratio")
    table.rows.append(Row(f"{_PAGE:,}", "CPU ms, a page decoded", found["ours"], _PEER, found[_PEER], goal=goal))


def _cpu(work: Callable[[], object]) -> float:
    gc.collect()
    begin = time.process_time()
    for _ in range(20):
        work()
    return (time.process_time() - begin) * 1e3 / 20


def _compare(size: int, table: Table) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(_process("serve", str(size), folder, cpu=LOAD_CPU))
        server.read()
        ours = stack.enter_context(_process("ours", folder))
        theirs = stack.enter_context(_process("theirs", folder))
        assert (count := ours.ask("count")) == theirs.ask("count") == size, count
        grown = {"ours": ours.ask("grown"), _PEER: theirs.ask("grown")}
        works: dict[str, Callable[[], float]] = {
            "first": partial(ours.ask, "first"),
            "later": partial(ours.ask, "later"),
            _PEER: partial(theirs.ask, "first"),
        }
        found = in_turn(works, table, [worker.process.pid for worker in (server, ours, theirs)])
        delay = statistics.median(_delay(server, ours) for _ in range(9))
    name = f"{size:,}"
    table.rows += [
        Row(name, "CPU ms, the first list", found["first"], f"{_PEER}, then targets", found[_PEER]),
        Row(name, "CPU ms, a later list", found["later"], f"{_PEER}, then targets", found[_PEER]),
        Row(name, "MiB more", grown["ours"], _PEER, grown[_PEER], goal=_goal(size, Goal(30, "most", "MiB"))),
        Row(name, "ms from change to target", delay, goal=_goal(size, Goal(2_000, "most", "ms"))),
    ]


def _delay(server: _Process, ours: _Process) -> float:
    """Milliseconds from a change in the server until the watch has told of it."""
    ours.write("watch")
    ours.read()  # the watch is live
    return (ours.read_after(server) - server.read()) * 1e3


# -- processes that are asked by lines


@dataclass(frozen=True, slots=True)
class _Process:
    process: subprocess.Popen[str]

    def write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def read(self) -> float:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark ended")
        return float(line)

    def ask(self, line: str) -> float:
        self.write(line)
        return self.read()

    def read_after(self, server: _Process) -> float:
        """The answer to what the server is told to do now."""
        server.write("change")
        return self.read()


@contextmanager
def _process(*arguments: str, cpu: int = SERVER_CPU) -> Iterator[_Process]:
    command = pinned(cpu, [sys.executable, "-m", "tests.benchmarks.p5_discovery", *arguments])
    process = subprocess.Popen(command, cwd=servers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Process(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


# -- the server


def _config(number: int, version: int = 0) -> dict[str, str]:
    document = {
        "name": f"target-{number}",
        "type": "webhook",
        "format": "webhook",
        "url": f"https://hooks-{number % 97}.example/{number}/{version}",
        "headers": {"Authorization": f"Bearer {number:032x}"},
    }
    return {"config": json.dumps(document)}


def _body(size: int) -> bytes:
    """A page as the real server gives it, with what tools have left in each Secret."""
    managed = {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1"} | {
        "time": "2026-11-20T10:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:config": {}}, "f:metadata": {"f:labels": {".": {}}}, "f:type": {}},
    }
    items = [
        {
            "metadata": {
                "name": f"target-{number}",
                "namespace": _PLACE,
                "uid": f"{number:032x}",
                "resourceVersion": str(number + 1),
                "creationTimestamp": "2026-11-20T10:00:00Z",
                "labels": _LABELS,
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": _config(number)["config"]},
                "managedFields": [managed],
            },
            "data": {"config": base64.b64encode(_config(number)["config"].encode()).decode()},
            "type": "Opaque",
        }
        for number in range(size)
    ]
    return json.dumps(
        {"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
    ).encode()


def _serve(size: int, folder: Path) -> None:
    with KubernetesApi() as api:
        api.namespace(_EMPTY)
        api.put_all((_PLACE, f"target-{number}", _config(number), _LABELS) for number in range(size))
        api.kubeconfig(folder / "kubeconfig")
        print(0, flush=True)
        for version in itertools.count(1):
            if not sys.stdin.readline():
                break
            print(time.monotonic(), flush=True)
            api.put(_PLACE, "target-0", _config(0, version), _LABELS)


# -- those who list


def _resident() -> float:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def _measured(listed: Callable[[], Awaitable[object]]) -> float:
    gc.collect()
    begin = time.process_time()
    await listed()
    return (time.process_time() - begin) * 1e3


def _cluster(folder: Path, namespace: str = _PLACE) -> Cluster:
    options = ClusterOptions((namespace,), _SELECTOR, folder / "kubeconfig")
    return Cluster(options, AddressPolicy(), SystemClock(), DaemonPool("calls", 1))


async def _ours(folder: Path) -> None:
    empty, cluster = _cluster(folder, _EMPTY), _cluster(folder)
    await empty.list()  # imports what is needed
    begin = _resident()
    count = len((await cluster.list()).targets)
    grown = _resident() - begin
    async for line in _lines():
        if line == "count":
            print(count, flush=True)
        elif line == "grown":
            print(grown, flush=True)
        elif line == "first":
            fresh = _cluster(folder)
            await fresh.secret(_PLACE, "target-0", "config")  # connects, and parses nothing
            print(await _measured(fresh.list), flush=True)
            await fresh.close()
        elif line == "later":
            print(await _measured(cluster.list), flush=True)
        else:
            await _one_change(cluster)
    await cluster.close()
    await empty.close()


async def _one_change(cluster: Cluster) -> None:
    told = asyncio.Event()

    def changed(listing: Listing) -> None:
        told.set()

    await cluster.list()
    watching = asyncio.create_task(cluster.watch(changed, lambda: None))
    await asyncio.sleep(0.2)
    print(0, flush=True)
    await told.wait()
    print(time.monotonic(), flush=True)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def _theirs(folder: Path) -> None:
    from kubernetes.aio.client import ApiClient, Configuration, CoreV1Api
    from kubernetes.aio.config import load_kube_config

    configuration = Configuration()
    await load_kube_config(str(folder / "kubeconfig"), client_configuration=configuration)
    async with ApiClient(configuration) as client:
        api = CoreV1Api(client)
        await _models(api, _EMPTY)
        begin = _resident()
        kept = await _models(api, _PLACE)
        grown = _resident() - begin
        async for line in _lines():
            answers = {"count": len(kept), "grown": grown}
            print(answers[line] if line in answers else await _measured(partial(_targets, api)), flush=True)


async def _models(api: Any, namespace: str) -> list[Any]:
    items: list[Any] = []
    token = None
    while True:
        page = await api.list_namespaced_secret(namespace, label_selector=_SELECTOR, limit=_PAGE, _continue=token)
        items += page.items
        token = page.metadata.var_continue
        if not token:
            return items


async def _targets(api: Any) -> list[object]:
    policy = AddressPolicy()
    return [
        read_secret(_PLACE, item.metadata.name, item.data, item.metadata.labels, policy)
        for item in await _models(api, _PLACE)
    ]


async def _lines() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield line.strip()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "serve":
        _serve(int(rest[0]), Path(rest[1]))
    else:
        asyncio.run({"ours": _ours, "theirs": _theirs}[what](Path(rest[0])))
