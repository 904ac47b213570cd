"""Lists of targets in files: every mistake with its place, and the sound entries all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.problems import ConfigError
from exporter.config.target_file import TargetFile, document_values, load_targets

URL = "https://hooks.example.org/s3cr3t"


def read(folder: Path, text: str, **environ: str) -> TargetFile:
    (folder / "t.yaml").write_text(text)
    return load_targets(folder / "t.yaml", environ)


def refused(folder: Path, text: str | bytes) -> str:
    (folder / "t.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_targets(folder / "t.yaml", {})
    assert caught.value.watched == (folder / "t.yaml",)
    return str(caught.value).removeprefix(f"{folder}/")


def told(file: TargetFile) -> dict[int, list[str]]:
    return {
        index: [f"{problem.line}:{problem.column}: {problem.path}: {problem.message}" for problem in problems]
        for index, problems in file.problems.items()
    }


def test_yaml_and_json_are_the_same(tmp_path: Path) -> None:
    for text in (f"- {{name: a, type: slack, url: '{URL}'}}", f'[{{"name": "a", "type": "slack", "url": "{URL}"}}]'):
        (document,) = read(tmp_path, text).documents.values()
        assert (document.name, document.format) == ("a", "slack")
        assert document.url is not None
        assert document.url.reveal() == URL


def test_no_targets_are_said_by_an_empty_list(tmp_path: Path) -> None:
    file = read(tmp_path, "[]")
    assert (file.documents, file.problems, file.watched) == ({}, {}, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.yaml: the file is empty: write [] if there are no targets"),
        ("# nothing\n", "t.yaml: the file is empty: write [] if there are no targets"),
        ("name: a", "t.yaml:1:1: expected a list of targets"),
        ("~", "t.yaml:1:1: expected a list of targets"),
        ("- {name: a", "t.yaml:2:1: a mapping in braces lacks a comma or its closing brace"),
        ("!!seq x", "t.yaml:1:1: tags (!…) are not supported"),
        ("[]\n---\n[]", "t.yaml:2:1: a second document begins here: keep one"),
        (b"\xff\xfe", "t.yaml: cannot read the targets: not UTF-8 text (line 1)"),
        ("[" * 60, "t.yaml:1:51: nested deeper than 50 levels"),
    ],
)
def test_what_is_no_list_is_refused_as_a_whole(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert refused(tmp_path, text) == message


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the targets: no such file"):
        load_targets(tmp_path / "none.yaml", {})
    assert "larger than 1024 KiB" in refused(tmp_path, b"#" * (1 << 20) + b"#")


def test_a_wrong_entry_costs_no_other(tmp_path: Path) -> None:
    text = f"""\
- {{name: a, type: slack, url: "{URL}"}}
- {{name: B, type: slak, url: "{URL}", nam: 3}}
- 7
- {{name: c, type: slack, url: no}}
- {{name: d, type: slack, url: "{URL}", url_file: x}}
"""
    file = read(tmp_path, text)
    assert list(file.documents) == [0]
    assert told(file) == {
        1: [
            "2:10: [1].name: expected 1 to 63 of a-z, 0-9 and '-', with no '-' at either end",
            "2:19: [1].type: expected rootly, pagerduty, slack or webhook; did you mean 'slack'?",
            "2:66: [1].nam: unknown key; did you mean 'name'?",
        ],
        2: ["3:3: [2]: expected a mapping (keys with values)"],
        3: [
            "4:31: [3].url: YAML 1.1 reads this word as a boolean: write true or false, or put quotes around it "
            "if it is text"
        ],
        4: ["5:67: [4].url_file: url and url_file are both given: keep one"],
    }
    assert "s3cr3t" not in str(told(file))


def test_more_mistakes_than_are_listed_make_no_targets(tmp_path: Path) -> None:
    file = read(tmp_path, "- {}\n" * 300)
    assert len(file.problems) == 300
    assert told(file)[299] == ["0:0: [299]: not a target"]


def test_secrets_in_files_count_from_the_folder_of_the_list_and_are_watched(tmp_path: Path) -> None:
    (tmp_path / "a.url").write_text(URL + "\n")
    (tmp_path / "a.token").write_text("Bearer s3cr3t\n")
    entry = "{name: a, type: slack, url_file: a.url, headers_file: {Authorization: a.token}}"
    file = read(tmp_path, f"[{entry}, {{name: b, type: slack, url_file: none}}]")
    assert file.documents[0].headers["Authorization"].reveal() == "Bearer s3cr3t"
    assert file.watched == (tmp_path / "a.url", tmp_path / "a.token", tmp_path / "none")
    assert told(file) == {1: [f"1:116: [1].url_file: cannot read {tmp_path}/none: no such file"]}


def test_variables_stand_for_the_environment(tmp_path: Path) -> None:
    file = read(tmp_path, "[{name: a, type: slack, url: 'https://h/${TOKEN}'}]", TOKEN="x")
    assert file.documents[0].url is not None
    assert file.documents[0].url.reveal() == "https://h/x"
    assert "environment variable TOKEN is not set" in str(told(read(tmp_path, "[{name: '${TOKEN}'}]")))


def test_documents_of_others_are_read_as_strictly_and_without_variables() -> None:
    assert document_values("url: https://h/${HOME}\nn: [1, true]") == {"url": "https://h/${HOME}", "n": [1, True]}
    assert document_values("") is None
    for text, message in (
        ("a: no", "line 1, column 4: YAML 1.1 reads this word"),
        ("a: 1\na: 2", "line 2, column 1: duplicate key"),
        ("a: [", "line 2, column 1: not valid YAML"),
    ):
        with pytest.raises(ValueError, match=message):
            document_values(text)
