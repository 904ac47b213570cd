"""Fixtures of the fault suite, and its last line: how many rows of the matrix were survived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.receiver import Background, Receiver
from tests.faults.canary import Sweep
from tests.faults.clusters import Site
from tests.faults.rows import ROWS, row_of
from tests.faults.scene import Scene
from tests.faults.servers import Prometheus


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def receiver(background: Background) -> Iterator[Receiver]:
    """Takes every alert."""
    receiver = Receiver(background)
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield server
    server.close()


@pytest.fixture
def scene(tmp_path: Path, background: Background, receiver: Receiver, prometheus: Prometheus) -> Iterator[Scene]:
    """A daemon under the eyes of a real Prometheus."""
    scene = Scene(tmp_path, background, receiver, prometheus)
    yield scene
    scene.close()


@pytest.fixture
def alone(tmp_path: Path, background: Background, receiver: Receiver) -> Iterator[Scene]:
    """A process that nobody scrapes: it does not start, or is stopped."""
    scene = Scene(tmp_path, background, receiver, None)
    yield scene
    scene.close()


@pytest.fixture
def site(scene: Scene) -> Iterator[Site]:
    """A cluster for the daemon to find targets in."""
    site = Site(scene)
    yield site
    site.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    survived: dict[str, bool] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            row = row_of(getattr(report, "nodeid", ""))
            if row is not None and outcome in ("passed", "failed", "error", "skipped"):
                survived[row] = survived.get(row, True) and outcome == "passed"
    if not survived:
        return
    for word, rows in (
        ("not survived", [row for row in ROWS if survived.get(row) is False]),
        ("not covered", [row for row in ROWS if row not in survived]),
    ):
        if rows:
            terminalreporter.write_line(f"{word}: " + "; ".join(f"{row} ({ROWS[row]})" for row in rows))
    sweep = f"{Sweep.searches:,} searches for secrets in {Sweep.outputs:,} outputs, {Sweep.found} found"
    terminalreporter.write_line(sweep)
    terminalreporter.write_line(f"faults survived: {sum(survived.get(row, False) for row in ROWS)} of {len(ROWS)}")
