"""URLs taken apart."""

from __future__ import annotations

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.url import parse


@pytest.mark.parametrize(
    ("text", "origin", "authority", "resource"),
    [
        ("http://Name.Example", ("http", "name.example", 80), "name.example", "/"),
        ("https://name.example:443/a", ("https", "name.example", 443), "name.example", "/a"),
        ("https://name.example:80?b=c#d", ("https", "name.example", 80), "name.example:80", "/?b=c"),
        ("http://[2001:DB8::1]:8080/", ("http", "2001:db8::1", 8080), "[2001:db8::1]:8080", "/"),
        ("http://bücher.example/ü%2F+?ü=%20", ("http", "xn--bcher-kva.example", 80), "xn--bcher-kva.example",
         "/%C3%BC%2F+?%C3%BC=%20"),
        ("http://a/b;c=d/(e)*'!$&,~?[f]=@:", ("http", "a", 80), "a", "/b;c=d/(e)*'!$&,~?[f]=@:"),
        ("http://a/\"<>\\^`{|}", ("http", "a", 80), "a", "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)  # fmt: skip
def test_a_url_has_its_parts(text: str, origin: tuple[str, str, int], authority: str, resource: str) -> None:
    url = parse(text)
    assert (url.origin, url.authority, url.resource) == (origin, authority, resource)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/a", "name.example", "http://", "http:///a", "http://:80/", "http://a:0/", "http://a:99999/"),
        *("ftp://a/", "file:///a", "http://a:b/", "http://[::1/", "http://a/\r\nX: y", "http://a/ b", "http://\x7f/"),
        *("http://a\t.example/", "http://" + "ü" * 64 + "/", "\nhttp://a/"),
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(text)
    assert (caught.value.reason, caught.value.detail) == (Reason.CONFIG, "the url cannot be used")


def test_a_url_shows_nothing_of_itself() -> None:
    url = parse("http://user:pass%3Aword@secret.example/secret")
    assert "secret" not in repr(url)
    assert url.basic == "Basic dXNlcjpwYXNzOndvcmQ="


def test_a_tunnel_is_told_host_and_port() -> None:
    assert parse("https://a/").tunnel == "a:443"
    assert parse("https://[::1]/").tunnel == "[::1]:443"
