"""A real Prometheus finds the targets of the real daemon."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.test_prometheus import COVERAGE, Prometheus
from tests.faults.process import Daemon, python_path, until

META = "__meta_publishing_target_"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    arguments = ["demo", "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"]
    environ = {**COVERAGE, "PYTHONPATH": python_path()}
    daemon = Daemon(tmp_path_factory.mktemp("demo"), environ, arguments)
    daemon.wait_ready()
    yield daemon
    assert daemon.stop() == 0


def ask(daemon: Daemon, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_prometheus_finds_every_target_with_its_labels(demo: Daemon, tmp_path: Path) -> None:
    """As a probe of one's own would use it: the target's name becomes a label, its address a parameter."""
    until(lambda: ask(demo, "/api/v2/publishing/targets/status")["status"] == "success", 20, "a refresh has ended")
    listed = ask(demo, "/api/v2/publishing/targets?enabled=true")["targets"]
    assert {one["type"] for one in listed} >= {"rootly", "slack", "pagerduty", "webhook"}
    job = {
        "job_name": "probe",
        "http_sd_configs": [{"url": f"http://127.0.0.1:{demo.port}/sd/targets", "refresh_interval": "1s"}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": [f"{META}name"], "target_label": "target"},
            {"source_labels": [f"{META}type"], "target_label": "type"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{demo.port}"},
        ],
    }
    server = Prometheus(tmp_path, "", [job])
    try:
        until(lambda: len(server.query("up == 1")) == len(listed), 20, "every target is found")
        url = f"http://{server.address}/api/v1/targets?state=active"
        with urllib.request.urlopen(url, timeout=10) as answer:
            active = json.load(answer)["data"]["activeTargets"]
        found = {(one["labels"]["target"], one["labels"]["type"]): one for one in active}
        for one in listed:
            known = found.pop((one["name"], one["type"]))
            # The address has been replaced already; where it went to is the parameter.
            asked = parse_qs(urlsplit(known["scrapeUrl"]).query)["target"][0]
            assert f"{known['discoveredLabels'][META + 'scheme']}://{asked}" == one["url"]
        assert not found, "what is switched off is not told"
    finally:
        server.close()


def test_a_target_is_probed_on_request_and_the_next_snapshot_tells(demo: Daemon) -> None:
    """The answer is newer than every snapshot before it."""
    path = "/api/v2/publishing/targets/health/slack-oncall"
    before = ask(demo, path)
    checked = ask(demo, f"{path}/check", "POST")
    assert checked["total_checks"] > before["total_checks"]
    until(lambda: ask(demo, path)["total_checks"] >= checked["total_checks"], 10, "a snapshot with the check")


def test_a_refresh_on_request_shows_in_its_state(demo: Daemon) -> None:
    """It ends well, and the next one has to wait."""
    before = ask(demo, "/api/v2/publishing/targets/status")["last_success"]
    begun = ask(demo, "/api/v2/publishing/targets/refresh", "POST")
    assert (begun["error"], begun["retry_after_seconds"]) == (None, None)

    def refreshed() -> bool:
        status = ask(demo, "/api/v2/publishing/targets/status")
        return bool(status["status"] == "success" and status["last_success"] > before)

    until(refreshed, 10, "the refresh ends")
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(demo, "/api/v2/publishing/targets/refresh", "POST")
    body = json.load(refused.value)
    assert (refused.value.code, body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert refused.value.headers["Retry-After"] == str(body["retry_after_seconds"])
