"""A real Prometheus that scrapes every daemon of the run, and promtool."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.page import Page
from tests.faults.process import free_port, until
from tests.programs import program

# One target for all tests, as they run one after the other: Prometheus takes five seconds to notice a new one.
_CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: faults
    static_configs: [{{targets: ["{address}"]}}]
"""
_LISTENING = re.compile(r"Listening on.* address=127\.0\.0\.1:(\d+)")


def promtool_complaints(page: Page) -> str:
    """What promtool says about a page; nothing if it is fine."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page.text, capture_output=True, text=True, timeout=30
    )
    return (done.stdout + done.stderr).strip() if done.returncode else ""


class Prometheus:
    """Debian's. Daemons of tests listen where it looks."""

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        (folder / "prometheus.yml").write_text(_CONFIG.format(address=self.address))
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdout=log,
                stderr=log,
            )
        until(lambda: self._find_port() is not None, 20.0, "prometheus listens")
        self._port = self._find_port()
        until(lambda: bool(self.ups(0.0)), 20.0, "prometheus scrapes")

    def _find_port(self) -> str | None:
        found = _LISTENING.search(self._log.read_text())
        return found[1] if found else None

    def ups(self, since: float) -> list[float]:
        """The values of `up` since a time."""
        result = self.query("up[2m]")
        values = result[0]["values"] if result else []
        return [float(value) for at, value in values if at >= since]

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self._port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
            return result
        return []

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
