"""The oldest dependencies that are allowed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


FLOORS = Path(__file__).parents[2] / "pyproject.toml"
# What needs neither real servers nor much time, and touches every dependency.
QUICK = ["tests/app", "tests/collectors", "tests/config", "tests/engine", "tests/exposition", "tests/publishing"]
QUICK += ["tests/sources", "tests/web", "tests/test_architecture.py"]


def lowest() -> list[str]:
    needed = tomllib.loads(FLOORS.read_text())["project"]
    pinned = [requirement.split(",")[0].replace(">=", "==") for requirement in needed["dependencies"]]
    speed = [requirement.replace(">=", "==") for requirement in needed["optional-dependencies"]["speed"]]
    return [*pinned, *speed, *needed["optional-dependencies"]["dev"]]


@pytest.mark.timeout(1500)
def test_PROC13_the_lowest_versions_allowed_pass_the_tests(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = str(venv / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *lowest()], capture_output=True, text=True, timeout=600, check=False)
    if "Failed to establish a new connection" in done.stderr or "Temporary failure" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    command = [python, "-m", "pytest", "-q", "-o", f"cache_dir={tmp_path / 'cache'}", *QUICK]
    # They have deadlines, and get what others leave over of the machine: what fails is looked at once more, alone.
    for more in ([], ["--last-failed"]):
        ran = subprocess.run(
            [*command, *more], cwd=FLOORS.parent, capture_output=True, text=True, timeout=600, check=False
        )
        if not ran.returncode:
            break
    assert ran.returncode == 0, ran.stdout[-4000:]
