"""The demo as a visitor runs it: a receiver is broken by hand, shows, and heals."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.process import Daemon, python_path, until

COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Daemon]:
    environ = {**COVERAGE, "PYTHONPATH": python_path()}
    daemon = Daemon(tmp_path, environ, ["demo", "--web.listen-address=127.0.0.1:0"])
    daemon.wait_ready()
    yield daemon
    daemon.kill()


def order(demo: Daemon, what: str) -> None:
    """As the demo says it is to be done."""
    found = re.search(r"curl -X POST (\S+)/-/break", demo.stdout.read_text())
    assert found is not None
    urllib.request.urlopen(urllib.request.Request(f"{found[1]}/-/{what}", method="POST"), timeout=10).close()


def test_a_broken_receiver_shows_within_two_minutes_and_heals_within_two_more(demo: Daemon) -> None:
    """In its probe and in its breaker; the other receivers get their alerts all the while."""

    def now(name: str, **labels: str) -> float | None:
        return demo.page().get(f"publishing_{name}", **labels)

    def delivered(target: str) -> float:
        return demo.page().total("publishing_jobs_processed_total", target=target, state="succeeded")

    until(lambda: delivered("slack-oncall") > 0, 30, "alerts arrive")
    assert now("circuit_breaker_state", target="slack-oncall") == 0
    order(demo, "break")
    before = delivered("webhook-audit")
    until(lambda: now("health_status", target="slack-oncall") == 3, 120, "its probe fails")
    until(lambda: now("circuit_breaker_state", target="slack-oncall") == 2, 120, "its breaker opens")
    assert demo.page().total("publishing_dlq_size", target="slack-oncall") > 0
    assert delivered("webhook-audit") > before
    order(demo, "heal")
    until(lambda: now("circuit_breaker_state", target="slack-oncall") == 0, 120, "its breaker closes")
    until(lambda: now("health_status", target="slack-oncall") in (1, 2), 120, "its probe succeeds")
    until(lambda: demo.page().total("publishing_dlq_replays_total", target="slack-oncall") > 0, 120, "letters go out")


def test_it_stops_at_once_although_a_receiver_hangs(demo: Daemon) -> None:
    """Nothing that waits for an answer holds up the end."""
    until(lambda: demo.page().total("publishing_jobs_processed_total") > 0, 30, "alerts arrive")
    order(demo, "hang")
    until(lambda: (demo.page().get("publishing_workers_active") or 0) > 0, 60, "a worker waits")
    assert demo.stop(5) == 0
    assert "Traceback" not in demo.log()
