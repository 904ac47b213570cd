"""Targets from files, read one by one."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.reason import Flaw
from exporter.publishing.listing import Listing
from exporter.sources.target_files import TargetFiles

URL = "https://hooks.example.org/s3cr3t"


def listed(*names: str) -> str:
    return json.dumps([{"name": name, "type": "slack", "url": URL} for name in names])


def origin(*paths: Path) -> TargetFiles:
    return TargetFiles(paths, {}, DaemonPool("places", 2))


def names(listing: Listing) -> list[str]:
    return [target.name for target in listing.targets]


async def test_every_target_knows_its_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(listed("b"))
    (tmp_path / "a.yaml").write_text(listed("x", "a"))
    listing = await origin(tmp_path / "*.yaml").list()
    assert [(target.name, target.origin, target.source) for target in listing.targets] == [
        ("x", "file", f"{tmp_path}/a.yaml[0]"),
        ("a", "file", f"{tmp_path}/a.yaml[1]"),
        ("b", "file", f"{tmp_path}/b.yaml[0]"),
    ]
    assert set(listing.seconds) == {"parse", "validate"}


async def test_a_pattern_that_matches_nothing_is_an_empty_origin(tmp_path: Path) -> None:
    assert await origin(tmp_path / "*.yaml").list() == Listing(origin="file")


async def test_a_file_that_two_patterns_match_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(listed("a"))
    assert names(await origin(tmp_path / "*.yaml", tmp_path / "a.*").list()) == ["a"]


async def test_what_is_wrong_is_told_with_its_place_and_without_what_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        f'- {{name: A, type: slack, url: "{URL}", x: "{URL}"}}\n- {{name: b, type: slack, url_file: none}}\n'
    )
    listing = await origin(file).list()
    assert [(invalid.document, invalid.flaw) for invalid in listing.invalid] == [
        (f"{file}[0]", Flaw.FIELD),
        (f"{file}[1]", Flaw.MISSING),
    ]
    assert f"{file}:1:10: [0].name: expected 1 to 63" in listing.invalid[0].detail
    assert "; " in listing.invalid[0].detail, "all of it"
    assert "s3cr3t" not in repr(listing)


@pytest.mark.parametrize("text", ["", "- {name: a", "name: a", "[]\n---\n[]"])
async def test_CFG11_a_file_that_cannot_be_read_keeps_its_targets(tmp_path: Path, text: str) -> None:
    files = origin(tmp_path / "*.yaml")
    (tmp_path / "a.yaml").write_text(listed("a"))
    (tmp_path / "b.yaml").write_text(listed("b"))
    await files.list()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(listed("c"))
    listing = await files.list()
    assert names(listing) == ["a", "c"]
    assert [(invalid.document, invalid.flaw) for invalid in listing.invalid] == [(f"{tmp_path}/a.yaml", Flaw.SYNTAX)]
    (tmp_path / "a.yaml").write_text(listed("d"))
    listing = await files.list()
    assert (names(listing), listing.invalid) == (["d", "c"], ())


async def test_a_named_file_that_is_gone_keeps_its_targets_and_one_of_a_pattern_loses_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(listed("a"))
    named, globbed = origin(tmp_path / "a.yaml"), origin(tmp_path / "*.yaml")
    assert names(await named.list()) == names(await globbed.list()) == ["a"]
    (tmp_path / "a.yaml").unlink()
    listing = await named.list()
    assert (names(listing), [invalid.flaw for invalid in listing.invalid]) == (["a"], [Flaw.MISSING])
    assert await globbed.list() == Listing(origin="file")


async def test_the_files_of_secrets_are_watched_with_the_lists(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text('[{"name": "a", "type": "slack", "url_file": "a.url"}]')
    files = origin(tmp_path / "*.yaml")
    assert list(files.watched) == [tmp_path / "*.yaml"]
    await files.list()
    assert list(files.watched) == [tmp_path / "*.yaml", tmp_path / "a.url"]


async def test_a_pipe_where_a_file_should_be_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.yaml")
    (invalid,) = (await origin(tmp_path / "t.yaml").list()).invalid
    assert "not a regular file" in invalid.detail


async def test_it_is_read_on_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noted(path: Path) -> list[Path]:
        threads.append(threading.current_thread().name)
        return []

    monkeypatch.setattr("exporter.sources.target_files.matches", noted)
    await origin(tmp_path / "t.yaml").list()
    assert threads == ["places-1"]
