"""What the tests of pages share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.programs import program


@pytest.fixture
def complaints() -> Callable[[bytes], str]:
    """What promtool says of a text page; nothing if it is fine."""
    promtool = program("promtool")

    def check(page: bytes) -> str:
        run = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
        said = (run.stdout + run.stderr).decode()
        return said or f"exit code {run.returncode}" * bool(run.returncode)

    return check
