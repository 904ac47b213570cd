"""The lines above a family, and the content types."""

from __future__ import annotations

from exporter.exposition.format import Format
from exporter.model.metric import Family, Kind


def test_content_types_are_those_prometheus_asks_for() -> None:
    assert Format.TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert Format.OPENMETRICS.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_a_quote_in_the_help_is_escaped_in_openmetrics_only() -> None:
    family = Family("a", 'back \\ "quote"\nline')
    assert Format.TEXT.head(family).startswith(b'# HELP a back \\\\ "quote"\\nline\n')
    assert Format.OPENMETRICS.head(family).startswith(b'# HELP a back \\\\ \\"quote\\"\\nline\n')


def test_openmetrics_declares_a_counter_without_total() -> None:
    family = Family("a_seconds_total", "A.", Kind.COUNTER, unit="seconds")
    assert Format.TEXT.head(family) == b"# HELP a_seconds_total A.\n# TYPE a_seconds_total counter\n"
    assert Format.OPENMETRICS.head(family) == (
        b"# HELP a_seconds A.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n"
    )


def test_a_unit_that_the_name_does_not_end_in_is_not_declared() -> None:
    assert b"UNIT" not in Format.OPENMETRICS.head(Family("a_bytes", "A.", unit="seconds"))
    assert b"UNIT" not in Format.OPENMETRICS.head(Family("seconds", "A.", unit="seconds"))


def test_an_unknown_type_has_another_word_in_each_format() -> None:
    family = Family("a", "A.", Kind.UNKNOWN)
    assert b"# TYPE a untyped\n" in Format.TEXT.head(family)
    assert b"# TYPE a unknown\n" in Format.OPENMETRICS.head(family)


def test_a_help_text_that_cannot_be_encoded_does_not_cost_the_page() -> None:
    assert Format.TEXT.head(Family("a", "x\ud800y")).startswith(b"# HELP a x?y\n")
