"""What an answer means for whoever asked."""

from __future__ import annotations

import pytest

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.sources.reply import LONGEST_PAUSE, Reply, pause


def reply(status: int = 200, content_type: str | None = None, body: bytes = b"") -> Reply:
    headers = {} if content_type is None else {"content-type": content_type}
    return Reply(status=status, latency=0.1, headers=headers, body=body)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((status, Reason.HTTP_STATUS) for status in (204, 206, 304, 400, 404, 418, 500, 502, 503, 101)),
        *((status, Reason.AUTH) for status in (401, 403, 407)),
        *((status, Reason.REDIRECT) for status in (301, 302, 307)),
        (429, Reason.RATE_LIMITED),
    ],
)
def test_up6_a_status_that_is_not_expected_is_a_failure(status: int, reason: Reason) -> None:
    with pytest.raises(Failure) as caught:
        reply(status, body=b"secret").expect(200)
    assert caught.value.reason is reason
    assert "secret" not in str(caught.value)
    assert reason in (Reason.RATE_LIMITED, Reason.REDIRECT) or str(status) in caught.value.detail


def test_up6_an_expected_status_is_fine() -> None:
    assert reply(202).expect(200, 202).status == 202


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/html",
        "text/plain; charset=UTF-8",
        'application/json;charset="utf-8"',
        "a/b; x=y; Charset = utf8",
    ],
)
def test_up8_text_is_utf_8_unless_it_says_otherwise(content_type: str | None) -> None:
    assert reply(content_type=content_type, body="ü".encode()).text() == "ü"


def test_up8_other_character_sets_that_leave_no_doubt_are_fine() -> None:
    assert reply(content_type="text/plain; charset=ISO-8859-1", body=b"\xfc").text() == "ü"
    assert reply(content_type="text/plain; charset=us-ascii", body=b"u").text() == "u"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=utf-7", b"+ADw-script+AD4-"),
        ("text/plain; charset=nonsense", b"a 1\n"),
        ("text/plain; charset=unicode_escape", b"\\x41"),
        ("text/plain; charset=idna", b"a"),
        ("text/plain; charset=utf-8", b"\xff"),
        ("text/plain; charset=us-ascii", b"\xfc"),
        (None, b"\xed\xa0\x80"),
    ],
)
def test_up8_text_that_cannot_be_read_without_doubt_is_refused(content_type: str | None, body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        reply(content_type=content_type, body=body).text()
    assert caught.value.reason is Reason.DECODE
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("007", 7.0),
        ("9" * 5000, LONGEST_PAUSE),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", LONGEST_PAUSE),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Fri, 99 Foo 0000 99:99:99", None),
        *((header, None) for header in ("0", "-5", "+5", "1.5", "1e3", "soon", "\xb2", "x" * 9000)),
    ],
)
def test_up7_a_pause_is_understood_and_bounded(header: str, seconds: float | None) -> None:
    assert pause(header, now=1000.0) == seconds
