"""What the README says about adding a collector, done as it says, with a real daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import exporter

ROOT = Path(exporter.__file__).parents[1]
TEXT = (ROOT / "README.md").read_text().split("## Adding a collector")[1]
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.S)[0]
CONFIG = "collectors: {kettle: {start: 40}}\n"


def once(config: Path, path: Path) -> str:
    """One collection, with this folder before all others."""
    environ = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-m", "exporter", "once", f"--config.file={config}"]
    done = subprocess.run(command, cwd=path, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_in_the_package_is_a_collector(tmp_path: Path) -> None:
    """Nothing but the file is needed."""
    shutil.copytree(ROOT / "exporter", tmp_path / "exporter", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "exporter" / "collectors" / "kettle.py").write_text(CODE)
    config = tmp_path / "exporter.yaml"
    config.write_text(CONFIG)
    assert 'kettle_temperature_celsius{kettle="kitchen"} 41.0' in once(config, tmp_path)


def test_the_same_file_is_a_plugin(tmp_path: Path) -> None:
    """The entry point and the configuration name it."""
    package, info = tmp_path / "my_package", tmp_path / "my_package-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").touch()
    (package / "kettle.py").write_text(CODE)
    entry = re.findall(r'\[project\.entry-points\."(.*?)"\]\n(\w+) = "(.*?)"', TEXT)[0]
    (info / "entry_points.txt").write_text(f"[{entry[0]}]\n{entry[1]} = {entry[2]}\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    config = tmp_path / "exporter.yaml"
    config.write_text(re.findall(r"```yaml\n(plugins.*?)```", TEXT, re.S)[0] + CONFIG)
    assert 'kettle_temperature_celsius{kettle="kitchen"} 41.0' in once(config, tmp_path)
