"""Patterns of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config import globs
from exporter.config.globs import is_pattern, matches


def test_a_pattern_stands_for_the_files_it_matches_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "c.json", ".hidden.yaml"):
        (tmp_path / name).touch()
    assert matches(tmp_path / "*.yaml") == [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    assert matches(tmp_path / "*.toml") == []
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/d.yaml").touch()
    assert tmp_path / "deep/er/d.yaml" in matches(tmp_path / "**/*.yaml")


def test_a_plain_name_stands_for_itself_whether_or_not_it_is_there(tmp_path: Path) -> None:
    assert matches(tmp_path / "none.yaml") == [tmp_path / "none.yaml"]
    assert not is_pattern(tmp_path / "none.yaml")


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "[a].yaml"
    assert is_pattern(odd)
    odd.touch()
    (tmp_path / "a.yaml").touch()
    assert matches(odd) == [odd]


def test_of_too_many_files_only_so_many_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MOST_FILES", 3)
    for number in range(9):
        (tmp_path / f"{number}.yaml").touch()
    assert len(matches(tmp_path / "*.yaml")) == 3
