"""What the campaigns of a run have to tell."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in told:
        terminalreporter.write_line(line)
