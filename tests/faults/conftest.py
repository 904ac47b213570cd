"""Fixtures of the fault suite, and its last line: how many rows of the matrix were survived."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.receiver import Background, Receiver
from tests.faults.canary import Sweep
from tests.faults.clusters import Site
from tests.faults.scene import Scene
from tests.faults.servers import Prometheus
from tests.faults.tally import Tally


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
    tally = Tally(outputs=Sweep.outputs, searches=Sweep.searches, found=Sweep.found)
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            tally.note(getattr(report, "nodeid", ""), outcome)
    if path := os.environ.get("FAULTS_TALLY"):  # others run beside this one
        tally.save(Path(path))
    elif tally.rows:
        for line in tally.lines():
            terminalreporter.write_line(line)
