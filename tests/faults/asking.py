"""The client in a process of its own: `python -m tests.faults.asking` answers each line of JSON with one.

A line says what to ask, and may give the addresses of names; the answer says what came of it and what it cost.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import uvloop

from exporter.engine.clock import SystemClock
from exporter.engine.threads import DaemonPool
from exporter.model.errors import Backoff, Failure
from exporter.model.secret import Secret
from exporter.sources.http import Client, Request
from exporter.sources.proxy import Proxy
from exporter.sources.resolver import Resolver
from exporter.sources.tls import TlsOptions
from tests.faults import canary
from tests.faults.process import CHECKOUT

T = TypeVar("T")
Line = dict[str, Any]


@dataclass
class Asker:
    """The process, from outside."""

    process: subprocess.Popen[str]
    errors: Path

    def ask(self, url: str, **more: Any) -> Line:
        """Has something asked for."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"url": url, **more}) + "\n")
        self.process.stdin.flush()
        answer: Line = json.loads(self.process.stdout.readline())
        return answer

    def failure(self, url: str, **more: Any) -> str:
        """The reason of a failure there has to be."""
        return str(self.ask(url, **more)["reason"])


@contextmanager
def asking(folder: Path, environ: Mapping[str, str], **options: str) -> Iterator[Asker]:
    """Starts the process; at its end it has ended well and said nothing but what it was asked for."""
    errors = folder / "asking.err"
    with errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.asking", json.dumps(options)],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    with process:  # closes the pipes, and waits
        try:
            yield Asker(process, errors)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(10.0) == 0
        finally:
            process.kill()
    said = errors.read_bytes()
    assert canary.hits("the client", said) == []
    assert said == b""


# -- inside


class _Names:
    """Resolves as the line says, else as the system does."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._pool = DaemonPool("names", 2)

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        return self._pool((lambda: cast(T, tuple(self.addresses))) if self.addresses else call)


def _memory(field: str) -> float:
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(found.split()[1]) / 1024


async def _answer(client: Client, line: Line) -> Line:
    request = Request(
        url=Secret(line["url"]),
        method=line.get("method", "GET"),
        headers={name: Secret(value) for name, value in line.get("headers", {}).items()},
    )
    ask = client.fetch if line.get("fetch") else client.ask
    try:
        reply = await ask(request, line.get("timeout", 10.0), redirects=line.get("redirects", 0))
        text = reply.text()
    except Failure as failure:
        return {"reason": failure.reason, "detail": failure.detail, "backoff": isinstance(failure, Backoff)}
    return {
        "reason": None,
        "status": reply.status,
        "text": text,
        "complete": reply.complete,
        "retry_after": reply.retry_after,
        "expiry": reply.tls_expiry,
    }


async def _lag(found: list[float]) -> None:
    while True:
        begin = time.monotonic()
        await asyncio.sleep(0.01)
        found[0] = max(found[0], time.monotonic() - begin - 0.01)


async def _work(options: Mapping[str, str]) -> None:
    loop = asyncio.get_running_loop()
    names = _Names()
    resolver = Resolver(names, SystemClock())
    tls = TlsOptions(ca_file=Path(options["ca_file"])) if "ca_file" in options else TlsOptions()
    proxy = Proxy(url=Secret(options["proxy"])) if "proxy" in options else None
    client = Client(resolver, SystemClock(), tls, proxy=proxy)
    lag = [0.0]
    watching = asyncio.ensure_future(_lag(lag))
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        line = json.loads(text)
        names.addresses = line.get("addresses", [])
        lag[0], before = 0.0, _memory("VmRSS")
        answer = await _answer(client, line)
        answer |= {"grown": _memory("VmHWM") - before, "lag": lag[0], "fds": len(os.listdir("/proc/self/fd"))}
        print(json.dumps(answer), flush=True)
    watching.cancel()
    await client.close()
    await resolver.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(json.loads(sys.argv[1])))
