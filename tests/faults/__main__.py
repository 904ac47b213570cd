"""All that takes long, in lanes: the faults of the daemon in two, as each is mostly waiting for what a daemon does, and
beside them whatever else is slow.

That gets what the faults leave over of the machine, as deadlines are measured there. What fails in any lane but the
first is tried once more when all have ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.faults.tally import Tally

HERE = Path(__file__).parent
PATIENT = [HERE / "test_dependencies.py", HERE / "test_storage_kills.py"]
_SECOND = ["canaries", "cardinality", "endurance", "kubernetes", "places", "plugins"]
_SECOND += ["services", "start", "storage", "target_files"]
SECOND = [path for name in _SECOND for path in sorted(HERE.glob(f"test_{name}*.py")) if path not in PATIENT]
BESIDE = [*(folder for folder in sorted(HERE.parent.iterdir()) if folder.is_dir() and folder != HERE), PATIENT[0]]


@dataclass(frozen=True)
class Lane:
    """One run of pytest; `folder` keeps what it says and what it has shown."""

    name: str
    marks: str
    paths: list[Path]
    folder: Path
    nice: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        with self._said.open("wb") as output:
            return subprocess.Popen(
                self._command(), stdout=output, stderr=subprocess.STDOUT, env=self._environ(self.name)
            )

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Prints what it said."""
        code = process.wait()
        print(f"\n{self.name}:\n{self._said.read_text(errors='replace')}", flush=True)
        return code

    def again(self) -> int:
        print(f"trying again what failed {self.name}", flush=True)
        return subprocess.call([*self._command(), "--last-failed"], env=self._environ(f"{self.name} again"))

    def shown(self) -> Tally:
        tally = Tally.load(self._tally(self.name))
        tally.rows.update(Tally.load(self._tally(f"{self.name} again")).rows)
        return tally

    @property
    def _said(self) -> Path:
        return self.folder / f"{self.name}.txt"

    def _tally(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _command(self) -> list[str | Path]:
        aside = ["-o", f"cache_dir=.pytest_cache/{self.name}"]
        return ["nice", f"-n{self.nice}", sys.executable, "-m", "pytest", "-m", self.marks, *aside, *self.paths]

    def _environ(self, name: str) -> dict[str, str]:
        return {**os.environ, "FAULTS_TALLY": str(self._tally(name))}


def main(folder: Path) -> int:
    others = [
        Lane("second", "slow", SECOND, folder),
        Lane("beside", "slow or matrix", BESIDE, folder, nice=19),
        Lane("patient", "slow", PATIENT[1:], folder, nice=19),
    ]
    started = [lane.start() for lane in others]
    ignored = [f"--ignore={path}" for path in (*SECOND, *PATIENT)]
    first = folder / "first.json"
    codes = [
        subprocess.call(
            [sys.executable, "-m", "pytest", "-m", "slow", HERE, *ignored],
            env={**os.environ, "FAULTS_TALLY": str(first)},
        )
    ]
    ended = [(lane, lane.finish(process)) for lane, process in zip(others, started, strict=True)]
    codes += [lane.again() if code == 1 else code for lane, code in ended]
    tally = Tally.load(first)
    for lane in others:
        tally.add(lane.shown())
    print("\n".join(tally.lines()))
    return max(codes)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.exit(main(Path(name)))
