"""Documents from elsewhere: as strict as the configuration, and blind to the environment."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.documents import read_document

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("name: ops\nenabled: false\nheaders: {a: 'no'}\n", {"name": "ops", "enabled": False, "headers": {"a": "no"}}),
        ('{"name": "ops", "n": 5}', {"name": "ops", "n": 5}),
        ("- a\n", ["a"]),
        ("# nothing\n", None),
        ("null", None),
    ],
)
def test_a_document_is_its_plain_values(text: str, values: Any) -> None:
    assert read_document(text) == values


def test_nothing_in_a_document_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    assert read_document("url: https://h/${TOKEN}$$") == {"url": "https://h/${TOKEN}$$"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"a: '{CANARY}", "YAML, line 1, column 4: a quoted text without its closing quote"),
        (f"a: {CANARY}\na: {CANARY}", "YAML, line 2, column 1: duplicate key: line 1 has it already"),
        (f"a: !{CANARY} b", "YAML, line 1, column 4: tags (!…) are not supported"),
        (f"a: *{CANARY}", "YAML, line 1, column 4: an alias of an anchor that does not exist"),
        ("[" * 60, "YAML, line 1, column 51: nested deeper than 50 levels"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_without_its_value(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="YAML") as caught:
        read_document(text)
    assert str(caught.value) == told


def test_of_many_mistakes_the_first_are_told() -> None:
    with pytest.raises(ValueError, match="YAML") as caught:
        read_document("\n".join(f"k{number}: yes" for number in range(10)))
    assert str(caught.value).count("reads this word as a boolean") == 3


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    for document in (text, f"a: {text}", f"{{{text}"):
        with suppress(ValueError):
            read_document(document)
