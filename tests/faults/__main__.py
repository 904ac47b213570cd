"""All that takes long: the faults of the daemon one after the other, and beside them whatever else is slow.

That gets what the faults leave over of the machine, as deadlines are measured there; what fails of it is tried once
more when they have ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.tally import Tally

HERE = Path(__file__).parent
PATIENT = [HERE / "test_dependencies.py", HERE / "test_storage_kills.py"]
BESIDE = [*(folder for folder in sorted(HERE.parent.iterdir()) if folder.is_dir() and folder != HERE), *PATIENT]
PYTEST = [sys.executable, "-m", "pytest", "-m"]


def main(folder: Path) -> int:
    said = folder / "beside.txt"
    with said.open("wb") as output:
        beside = subprocess.Popen(
            [*_beside(), *BESIDE],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environ(folder / "beside.json"),
            preexec_fn=_step_back,
        )
    code = subprocess.call(
        [*PYTEST, "slow", HERE, *(f"--ignore={path}" for path in PATIENT)], env=_environ(folder / "one.json")
    )
    print("\nbeside them:", flush=True)
    aside = beside.wait()
    print(said.read_text(errors="replace"), flush=True)
    tally = Tally.load(folder / "one.json")
    tally.add(Tally.load(folder / "beside.json"))
    if aside == 1:
        print("trying again what failed beside others", flush=True)
        aside = subprocess.call([*_beside(), *BESIDE, "--last-failed"], env=_environ(folder / "again.json"))
        tally.rows.update(Tally.load(folder / "again.json").rows)
    print("\n".join(tally.lines()))
    return code or aside


def _step_back() -> None:
    os.nice(19)


def _beside() -> list[str | Path]:
    return [*PYTEST, "slow or matrix", "-o", "cache_dir=.pytest_cache/beside"]


def _environ(tally: Path) -> dict[str, str]:
    return {**os.environ, "FAULTS_TALLY": str(tally)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.exit(main(Path(name)))
