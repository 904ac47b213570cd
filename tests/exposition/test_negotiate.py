"""Content negotiation with well-meaning and with hostile clients."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exposition import negotiate as module
from exporter.exposition.format import Format
from exporter.exposition.negotiate import accepts_gzip, negotiate

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    "accept",
    [
        PROMETHEUS_2,
        PROMETHEUS_3,
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "text/html, application/openmetrics-text",
        'Application/OpenMetrics-Text; Version="1.0.0"',
        "text/plain, application/openmetrics-text",
        "text/plain;q=0.2, application/openmetrics-text;q=0.3, */*;q=0.1",
        "application/openmetrics-text;q=0, application/openmetrics-text;version=1.0.0;q=0.1",
    ],
)
def test_openmetrics_for_those_who_ask_for_it(accept: str) -> None:
    assert negotiate(accept) is Format.OPENMETRICS


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/html,application/xhtml+xml",
        "application/openmetrics-text; version=0.0.1",
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=9.9",
        "application/openmetrics-text; version=2.0.0, text/plain;q=0.1",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=1e999",
        "application/openmetrics-text;q=0.3, text/plain;q=0.5",
        "*/*, application/openmetrics-text;q=0.9",
        "application/openmetrics-text; version=1.0.0-rc.1x, text/plain; version=abc",
        "application/openmetrics-text; version=1e9",
        "application/openmetrics-text; version=1.a",
        "application/openmetrics-text; version=" + "9" * 5_000,
        ";;;,,,===",
        "application/openmetrics-text," * 4_000,
        "\x00\ud800\U0001f600",
    ],
)
def test_text_for_everybody_else(accept: str | None) -> None:
    assert negotiate(accept) is Format.TEXT


@pytest.mark.parametrize("version", ["abc", "1e9", "1.0.0-rc.1", "1.0.0.0.0", "", "-1", "1..0", "∞"])
def test_no_version_raises(version: str) -> None:
    for media in ("application/openmetrics-text", "text/plain"):
        assert negotiate(f"{media}; version={version}") in Format
        assert negotiate(f"{media}; version={version}; escaping={version}") in Format


TOKENS = st.sampled_from(
    ["application/openmetrics-text", "text/plain", ";", ",", "=", "version", "q", "escaping", "1.0.0", "0", "*/*", " "]
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(TOKENS | st.text(max_size=5)).map("".join)))
def test_nothing_a_client_sends_raises(header: str) -> None:
    assert negotiate(header) in Format
    assert accepts_gzip(header) in (True, False)


def test_headers_of_many_clients_do_not_pile_up() -> None:
    module._remembered.cache_clear()
    for number in range(1_000):
        negotiate(f"text/plain; n={number}")
    kept = module._remembered.cache_info().currsize
    assert 0 < kept <= 64
    module._remembered.cache_clear()
    assert negotiate("application/openmetrics-text" + " " * 2_000) is Format.OPENMETRICS
    assert module._remembered.cache_info().currsize == 0


@pytest.mark.parametrize(
    "header",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate, gzip;q=1.0, *;q=0.5",
        "gzip;q=0.001",
        "gzip; q = 0.8 , identity;q=0.5",
        "*",
        "identity;q=0, *",
        "identity;q=0.5, *;q=0.7",
        "gzip;level=9;q=0.3",
        "br;q=abc, gzip",
    ],
)
def test_gzip_for_those_who_take_it(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "identity",
        "identity;q=0",
        "br, zstd",
        "gzip;q=0",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "gzip, gzip;q=0",
        "gzip;q=0, gzip",
        "*;q=0",
        "gzip;q=0.2, identity;q=0.8",
        "identity, *;q=0.5",
        "gzip;q=abc",
        "gzip;q=-1",
        "gzip;q=2",
        "gzip;q=nan",
        "gzip;q=",
        "gzipped",
        "gzip q=1",
        ",;=,;q",
        "gzip," * 20_000,
    ],
)
def test_plain_bytes_for_everybody_else(header: str | None) -> None:
    assert not accepts_gzip(header)
