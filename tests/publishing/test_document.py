"""Target documents: what is accepted, and that every mistake is told at once without a word of the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.model.secret import Secret
from exporter.publishing.document import FORMATS, RESERVED_NAMES, TYPES, TargetDocument

GOOD: dict[str, Any] = {"name": "ops", "type": "slack", "url": "https://hooks.example.org/x"}
CANARY = "c4n4ry"


def errors(**changed: Any) -> dict[str, str]:
    """What is said about a document that is good but for these changes, by place."""
    document = {key: value for key, value in (GOOD | changed).items() if value is not ...}
    with pytest.raises(ValidationError) as caught:
        TargetDocument.model_validate(document)
    assert CANARY not in str(caught.value)
    return {
        ".".join(map(str, error["loc"])): error["msg"].removeprefix("Value error, ")
        for error in caught.value.errors(include_input=False, include_url=False)
    }


def test_a_document_needs_no_more_than_name_type_and_url() -> None:
    target = TargetDocument.model_validate(GOOD).to_target("static", "config.yaml")
    assert (target.name, target.type, target.format, target.enabled) == ("ops", "slack", "slack", True)
    assert (target.origin, target.source, target.shown) == ("static", "config.yaml", "https://hooks.example.org")
    assert target.url == Secret(GOOD["url"])


def test_everything_a_document_says_reaches_the_target() -> None:
    target = TargetDocument.model_validate(
        GOOD
        | {
            "type": "webhook",
            "format": "alertmanager",
            "enabled": False,
            "headers": {"X-Api-Key": CANARY},
            "filter_config": {"severity": ["critical"]},
        }
    ).to_target("file", "")
    assert (target.format, target.enabled, target.filter_config) == ("alertmanager", False, {"severity": ["critical"]})
    assert target.headers == {"X-Api-Key": Secret(CANARY)}
    assert CANARY not in repr(target)


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_takes_its_own_formats_and_defaults_to_the_first(kind: str) -> None:
    assert TargetDocument.model_validate(GOOD | {"type": kind}).format == FORMATS[kind][0]
    for form in {form for forms in FORMATS.values() for form in forms}:
        if form in FORMATS[kind]:
            assert TargetDocument.model_validate(GOOD | {"type": kind, "format": form}).format == form
        else:
            assert errors(type=kind, format=form).keys() == {"format"}


def test_every_mistake_of_a_document_is_told_at_once() -> None:
    found = errors(
        name="-Ops", type="slak", url=..., url_file=5, enabled="no", headers={"A": "", "B": 1}, filter_config=[], more=1
    )
    assert found.keys() == {
        "name", "type", "url_file", "enabled", "headers.A", "headers.B", "filter_config", "more"
    }  # fmt: skip


def test_an_enabled_that_is_missing_is_not_an_enabled_that_is_false() -> None:
    assert TargetDocument.model_validate(GOOD).enabled
    assert not TargetDocument.model_validate(GOOD | {"enabled": False}).enabled
    assert errors(enabled=0).keys() == {"enabled"}


@pytest.mark.parametrize("name", ["a", "a" * 63, "9-a", "a--b"])
def test_a_name_may_be_any_dns_label(name: str) -> None:
    assert TargetDocument.model_validate(GOOD | {"name": name}).name == name


@pytest.mark.parametrize("name", ["", "a" * 64, "-a", "a-", "A", "a.b", "a_b", "ä", "a\n", " a"])
def test_a_name_that_is_no_dns_label_is_refused(name: str) -> None:
    assert errors(name=name).keys() == {"name"}


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_w_h10_names_of_routes_are_reserved(name: str) -> None:
    assert errors(name=name)["name"] == "a target cannot be named any of health, refresh, stats, status"
    assert TargetDocument.model_validate(GOOD | {"name": f"{name}-1"}).name == f"{name}-1"


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "https://h:8443/a/b?c=d#e",
        "https://[2001:db8::1]:1/",
        "http://10.0.0.1/",
        "HTTPS://h/",
        "https://bücher.example/ü",
        "https://h/@channel",
    ],
)
def test_a_url_may_be_any_of_http(url: str) -> None:
    assert TargetDocument.model_validate(GOOD | {"url": url}).url == Secret(url)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        (f"ftp://h/{CANARY}", "the url must begin with http:// or https://"),
        (CANARY, "the url must begin with http:// or https://"),
        ("", "the url must begin with http:// or https://"),
        (f"https:///{CANARY}", "the url names no host"),
        (f"https://:443/{CANARY}", "the url names no host"),
        (f"https://user:{CANARY}@h/", "the url must not carry a user or password; use headers"),
        (f"https://@h/{CANARY}", "the url must not carry a user or password; use headers"),
        (f"https://h:99999/{CANARY}", "the url has a host or port that is not legal"),
        (f"https://h:0/{CANARY}", "the url has a host or port that is not legal"),
        (f"https://h:x/{CANARY}", "the url has a host or port that is not legal"),
        (f"https://[::1/{CANARY}", "the url has a host or port that is not legal"),
        (f"https://h/{CANARY} x", "the url holds a space or a control character"),
        (f"https://h/{CANARY}\n", "the url holds a space or a control character"),
        (5, "expected a string"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url: Any, complaint: str) -> None:
    assert errors(url=url) == {"url": complaint}


def test_a_document_has_exactly_one_url() -> None:
    assert errors(url=...) == {"url": "exactly one of url, url_file is needed"}
    assert errors(url_file="token") == {"url": "exactly one of url, url_file is needed"}


def test_a_document_whose_files_were_not_read_makes_no_target() -> None:
    by_file = {key: value for key, value in GOOD.items() if key != "url"} | {"url_file": "token"}
    for document in (by_file, GOOD | {"headers_file": {"X-Api-Key": "key"}}):
        with pytest.raises(ValueError, match="files of the document"):
            TargetDocument.model_validate(document).to_target("static", "")


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"headers": {"X Y": "z"}}, "headers"),
        ({"headers": {"": "z"}}, "headers"),
        ({"headers": {"X:": "z"}}, "headers"),
        ({"headers": {"a": "y", "A": "z"}}, "headers"),
        ({"headers": {"a": "y"}, "headers_file": {"A": "z"}}, "headers_file"),
        ({"headers": {"a": f"{CANARY}\r\nX: y"}}, "headers.a"),
        ({"headers": {"a": " "}}, "headers.a"),
        ({"headers": {"a": 5}}, "headers.a"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(changed: dict[str, Any], place: str) -> None:
    assert errors(**changed).keys() == {place}


def test_secrets_show_in_no_form_of_the_document() -> None:
    document = TargetDocument.model_validate(GOOD | {"url": f"https://h/{CANARY}", "headers": {"a": CANARY}})
    for shown in (repr(document), str(document), document.model_dump_json(), str(document.model_dump())):
        assert CANARY not in shown


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda e: st.dictionaries(st.text(), e)))
def test_no_document_raises_anything_but_its_mistakes(value: Any) -> None:
    for document in (value, {"name": value, "type": value, "url": value, "headers": value, "url_file": value}):
        with pytest.raises(ValidationError):
            TargetDocument.model_validate(document)
