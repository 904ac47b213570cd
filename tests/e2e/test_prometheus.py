"""A real Prometheus scrapes the real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.page import Labels
from tests.faults.process import Daemon, until
from tests.programs import program

COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}


class Prometheus:
    """Debian's server, scraping twice a second: one daemon, or whatever the jobs say."""

    def __init__(self, folder: Path, target: str, jobs: Sequence[Mapping[str, object]] = ()) -> None:
        config = folder / "prometheus.yml"
        usual = {"job_name": "exporter", "static_configs": [{"targets": [target]}]}
        config.write_text(json.dumps({"global": {"scrape_interval": "500ms"}, "scrape_configs": [*jobs] or [usual]}))
        self.log = folder / "prometheus.log"
        self.address = ""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stderr=log,
            )
        until(self._listens, 20, "Prometheus listens")
        until(self._ready, 20, "Prometheus is ready")

    def _listens(self) -> bool:
        for line in self.log.read_text().splitlines():
            if 'msg="Listening on" address=' in line:
                self.address = line.split("address=")[1].split()[0]
        return bool(self.address)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False  # it answers 503 while it opens its storage

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def own(labels: dict[str, str]) -> Labels:
    """The labels without those that Prometheus attaches."""
    return tuple(sorted((name, value) for name, value in labels.items() if name not in ("__name__", "job", "instance")))


def as_stored(labels: Labels) -> Labels:
    """An empty label is none."""
    return tuple(sorted((name, value) for name, value in labels if value))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The demo, as `make run` starts it."""
    daemon = Daemon(tmp_path_factory.mktemp("demo"), COVERAGE, ["demo", "--web.listen-address=127.0.0.1:0"])
    daemon.wait_ready()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="module")
def prometheus(demo: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{demo.port}")
    until(lambda: bool(server.query("up == 1")), 20, "the first scrape")
    yield server
    server.close()


def test_the_demo_has_every_target_type_within_thirty_seconds(demo: Daemon) -> None:
    """Healthy, degraded and TLS targets are all there, and the page is clean."""

    def kinds() -> set[str]:
        found = demo.page().series("publishing_health_status").items()
        return {dict(labels)["type"] for labels, value in found if value > 0}

    until(lambda: kinds() == {"rootly", "slack", "pagerduty", "webhook"}, 30, "all four target types are probed")
    page = demo.page()
    assert page.series("publishing_target_tls_expiry_timestamp_seconds")
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page.text, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_prometheus_sees_it_up_throughout(demo: Daemon, prometheus: Prometheus) -> None:
    """Not one scrape is lost while cycles come and go."""
    first = demo.page().value("platform_exporter_collection_last_timestamp_seconds")
    until(lambda: demo.page().value("platform_exporter_collection_last_timestamp_seconds") > first, 20, "a cycle")
    assert [sample["value"][1] for sample in prometheus.query("min_over_time(up[1h])")] == ["1"]


def test_prometheus_stores_what_the_page_shows(demo: Daemon, prometheus: Prometheus) -> None:
    """Its query API returns the same series with the same values, scraped as OpenMetrics."""

    def settled() -> bool:
        page = demo.page()
        time.sleep(1.1)  # two scrapes of this page
        same = demo.page()
        if page.value("platform_exporter_collection_last_timestamp_seconds") != same.value(
            "platform_exporter_collection_last_timestamp_seconds"
        ):
            return False  # a cycle came in between: what Prometheus saw last is not known
        families = [name for name in page.names if name.startswith("publishing_")]
        assert len(families) >= 7
        stored: dict[str, dict[Labels, float]] = {name: {} for name in families}
        for sample in prometheus.query('{__name__=~"publishing_.+"}'):
            stored.setdefault(sample["metric"]["__name__"], {})[own(sample["metric"])] = float(sample["value"][1])
        for name, found in stored.items():
            assert found == {as_stored(labels): value for labels, value in page.series(name).items()}
        return True

    until(settled, 30, "two scrapes within one cycle")


def test_plain_and_compressed_bodies_are_the_same(demo: Daemon) -> None:
    """As curl asks for them."""
    url = f"http://127.0.0.1:{demo.port}/metrics?name[]=publishing_health_status&name[]=platform_exporter_build_info"
    for accept in ("text/plain", "application/openmetrics-text"):
        bodies = {
            subprocess.run(
                [program("curl"), "-sgf", *flags, "-H", f"Accept: {accept}", url], capture_output=True, check=True
            ).stdout
            for flags in ([], ["--compressed"])
        }
        assert len(bodies) == 1
        assert b"platform_exporter_build_info" in bodies.pop()
