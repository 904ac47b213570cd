"""YAML of other programs."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.config.foreign import foreign_values
from exporter.config.problems import ConfigError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{a: yes, b: Off, c: 'yes', d: ~, e: null}", {"a": True, "b": False, "c": "yes", "d": None, "e": None}),
        ("{a: 1_000, b: 0x10, c: 1.5, d: 1e3, e: .5}", {"a": 1000, "b": 16, "c": 1.5, "d": "1e3", "e": 0.5}),
        ("{a: 2001-01-01, b: 1:30, c: =, d: 010}", {"a": "2001-01-01", "b": "1:30", "c": "=", "d": "010"}),
        ("{a: [], b: {}, c: [[], 1], d: !odd x}", {"a": [], "b": {}, "c": [[], 1], "d": "x"}),
        ("{a: $HOME, b: '${HOME}'}", {"a": "$HOME", "b": "${HOME}"}),
        ("{a: 1, a: 2}", {"a": 2}),
        ("{? [x] : 1, b: 2}", {"b": 2}),
        ("- 1\n- two", [1, "two"]),
        ("word", "word"),
        ("", None),
        ("{x: &x {a: 1, b: 2}, y: {<<: *x, b: 3}}", {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}),
        ("[&x {a: 1}, &y {a: 2, b: 2}, {<<: [*x, *y, 7]}]", [{"a": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}]),
    ],
)
def test_values_are_what_their_author_meant(text: str, values: Any) -> None:
    assert foreign_values(text, "f") == values


def test_what_is_no_yaml_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        foreign_values("a:\n  - b\n c: d", "am.yml")
    assert str(caught.value).startswith("am.yml:3:2: ")


def test_merge_keys_cannot_make_much_of_little() -> None:
    wide = ", ".join(f"k{number}: 1" for number in range(500))
    with pytest.raises(ConfigError, match="aliases expand to too many values"):
        foreign_values(f"a: &a {{{wide}}}\nb: [{', '.join(['{<<: *a}'] * 21)}]", "f")
