"""The log: one line per event, nothing that stops the daemon, and no secret."""

from __future__ import annotations

import base64
import gc
import io
import json
import logging
import logging.config
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.instruments.log import Log, Logfmt, StandardError, forms, say
from exporter.instruments.meter import Meter
from exporter.model.secret import MASK, Secret

SAFE = 30.0
logger = logging.getLogger("exporter.test")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("aiohttp", "asyncio", "kubernetes")}
    gc.collect()  # secrets of other tests
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


class Journal:
    """A log into memory."""

    def __init__(self, level: str = "info", format: str = "logfmt", stream: Any = None) -> None:
        self.meter = Meter("ours_")
        self.stream = stream or io.StringIO()
        self.log = Log(self.meter, self.stream)
        self.log.start(level, format)

    def lines(self) -> list[str]:
        """All there is; ends the log."""
        self.log.stop()
        text = cast("str", self.stream.getvalue())
        assert not text or text.endswith("\n")
        return text.split("\n")[:-1]

    def counted(self, name: str, *labels: str) -> float:
        return next(dict(c.rows())[labels][0] for c in self.meter.capture() if c.family.name == f"ours_{name}")


def test_logfmt_is_one_line_of_pairs() -> None:
    journal = Journal()
    say(logger, logging.WARNING, "collector failed", collector="health", duration="1.250s", detail='a "b" c', number=3)
    (line,) = journal.lines()
    stamp, rest = line.split(" ", 1)
    assert rest == r'level=warn msg="collector failed" collector=health duration=1.250s detail="a \"b\" c" number=3'
    assert stamp.startswith("ts=20")
    assert stamp.endswith("Z")


def test_json_is_one_object_per_line() -> None:
    journal = Journal(format="json")
    say(logger, logging.ERROR, "failed", name="a", number=3, other=Secret("hunter2222"))
    (line,) = journal.lines()
    found = json.loads(line)
    assert found.pop("ts").endswith("Z")
    assert found == {"level": "error", "msg": "failed", "name": "a", "number": 3, "other": MASK}


@pytest.mark.parametrize("format", ["logfmt", "json"])
@given(text=st.text(st.characters(), min_size=1))
def test_one_event_is_one_line_of_what_can_be_shown(format: str, text: str) -> None:
    journal = Journal(format=format)
    say(logger, logging.INFO, "event", text=text)
    logger.info(text.replace("%", ""))
    lines = journal.lines()
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert len(line.splitlines()) == 1
        assert line.encode()


def test_values_that_would_lead_a_reader_astray_are_quoted() -> None:
    show = getattr(Logfmt, "_value")  # noqa: B009
    assert show("") == '""'
    assert show("a=b") == '"a=b"'
    assert show("line\nbreak\x1b[31m") == r'"line\nbreak\u001b[31m"'
    assert show("grün") == "grün"
    assert show("grün und rot") == '"grün und rot"'
    assert show("http://host:1/path") == "http://host:1/path"
    assert show(MASK) == MASK
    assert show(None) == "None"


def test_an_exception_shows_its_class_and_not_its_text() -> None:
    journal = Journal()
    try:
        raise ValueError("what it choked on")
    except ValueError:
        logger.exception("failed")
    logger.error("plain", exc_info=(None, None, None))
    first, second = journal.lines()
    assert first.endswith("level=error msg=failed exception=ValueError")
    assert "exception" not in second


def test_other_loggers_are_named_and_odd_levels_find_a_word() -> None:
    journal = Journal(level="debug")
    logging.getLogger("plugin").info("hello")
    logger.critical("worse")
    logger.log(5, "unseen")
    logger.log(25, "between")
    assert [line.split(" ", 1)[1] for line in journal.lines()] == [
        "level=info msg=hello logger=plugin",
        "level=error msg=worse",
        "level=info msg=between",
    ]


def test_messages_are_counted_by_level() -> None:
    journal = Journal(level="debug")
    for level in (logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "message")
    journal.lines()
    counts = {level: journal.counted("log_messages_total", level) for level in ("debug", "info", "warn", "error")}
    assert counts == {"debug": 1.0, "info": 2.0, "warn": 1.0, "error": 2.0}


def test_level_and_format_change_at_run_time() -> None:
    journal = Journal(level="error")
    say(logger, logging.INFO, "unseen")
    journal.log.configure("info", "logfmt")
    say(logger, logging.INFO, "seen")
    journal.lines()
    again = Journal(level="debug")
    again.log.configure("warn", "json")
    say(logger, logging.INFO, "unseen")
    say(logger, logging.WARNING, "seen")
    assert [json.loads(line)["msg"] for line in again.lines()] == ["seen"]


def test_client_libraries_have_nothing_to_say_below_a_warning() -> None:
    journal = Journal(level="debug")
    for name in ("aiohttp.client", "kubernetes.client.rest", "urllib3.connectionpool", "asyncio"):
        logging.getLogger(name).debug("body")
        logging.getLogger(name).info("body")
    logging.getLogger("asyncio").warning("slow")
    journal.log.configure("error", "logfmt")
    logging.getLogger("asyncio").warning("slow")
    assert len(journal.lines()) == 1


SECRET = 'https://hooks.example.org/T0/B1?k="p/ä ß"&%\\'


@pytest.mark.parametrize("format", ["logfmt", "json"])
@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").replace("%3A", "%3a").replace("%2F", "%2f").lower().replace("t0/b1", "T0/B1"),
        repr(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"user:" + SECRET.encode()).decode(),
        base64.urlsafe_b64encode(b"me:" + SECRET.encode() + b"@tail").decode(),
    ],
    ids=["plain", "url", "url all", "url lower", "repr", "json", "json unicode", "base64", "basic", "urlsafe"],
)
def test_a_secret_is_caught_in_every_form_and_counted(shown: str, format: str) -> None:
    if "%3a" in shown:
        shown = next(form for form in forms(SECRET) if "%3a" in form and "/" not in form)
    secret = Secret(SECRET)
    journal = Journal(format=format)
    logger.info("before %s after", shown)
    (line,) = journal.lines()
    assert MASK in line
    assert SECRET[8:20] not in line
    assert secret.reveal()[-12:] not in line
    assert journal.counted("log_redactions_total") == 1.0


def test_short_secrets_would_blank_ordinary_words() -> None:
    secrets = [Secret("short"), Secret(MASK), Secret("")]
    journal = Journal()
    logger.info("short %s", secrets[1])
    assert journal.lines()[0].endswith(f'msg="short {MASK}"')
    assert journal.counted("log_redactions_total") == 0.0


def test_of_two_secrets_with_the_same_beginning_no_end_is_left() -> None:
    secrets = [Secret("abcdefgh"), Secret("abcdefghijklmnop")]
    journal = Journal()
    logger.info("x abcdefghijklmnop y")
    assert journal.lines()[0].endswith(f'msg="x {MASK} y"')
    assert secrets


def test_secrets_that_come_and_go_are_known_and_forgotten() -> None:
    journal = Journal()
    late = Secret("turns-up-later")
    logger.info("turns-up-later")
    while not journal.stream.getvalue():
        threading.Event().wait(0.001)
    del late
    gc.collect()
    logger.info("turns-up-later")
    first, second = journal.lines()
    assert first.endswith(f"msg={MASK}")
    assert second.endswith("msg=turns-up-later")


def test_a_secret_that_cannot_be_encoded_does_not_silence_the_log() -> None:
    secret = Secret("bad\udc80byte-secret")
    journal = Journal()
    logger.info("hello")
    assert len(journal.lines()) == 1
    assert secret == Secret("bad\udc80byte-secret")


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("no space left")


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "full disk"])
def test_a_stream_that_takes_nothing_never_raises(closed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO() if closed else Broken()
    journal = Journal(stream=stream)
    if closed:
        stream.close()
    logger.info("lost")
    journal.log.stop()
    assert journal.counted("log_messages_total", "info") == 1.0
    assert capsys.readouterr() == ("", "")


def test_without_stderr_lines_are_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    journal = Journal(stream=StandardError())
    logger.info("lost")
    journal.log.stop()
    assert journal.counted("log_dropped_total") == 1.0


def test_standard_error_takes_a_line_whole_or_refuses_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(stream=StandardError())
    logger.info("a line with what cannot be encoded: \udc80")
    journal.log.stop()
    assert capfd.readouterr().err.endswith('encoded: \\udc80"\n')
    journal = Journal(stream=StandardError())
    monkeypatch.setattr(os, "write", lambda descriptor, data: len(data) - 1)
    logger.info("cut short")
    journal.log.stop()
    assert journal.counted("log_dropped_total") == 1.0


@pytest.mark.parametrize(
    "meddle",
    [
        lambda: logging.getLogger().setLevel(logging.CRITICAL),
        lambda: logging.basicConfig(force=True, stream=io.StringIO()),
        lambda: logging.disable(logging.CRITICAL),
        lambda: logging.config.dictConfig({"version": 1, "disable_existing_loggers": True}),
    ],
    ids=["level", "handlers", "disable", "dictConfig"],
)
def test_COL15_what_a_plugin_did_to_the_logging_is_undone(meddle: Callable[[], None]) -> None:
    journal = Journal()
    assert not journal.log.retake()
    meddle()
    logger.info("lost")
    assert journal.log.retake()
    assert not journal.log.retake()
    logger.info("seen")
    assert [line.split("msg=")[1] for line in journal.lines()] == ["seen"]
    assert not journal.log.retake()


def test_a_field_that_cannot_be_shown_costs_its_line_only() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    journal = Journal()
    say(logger, logging.INFO, "lost", field=Hostile())
    logger.info("wrong %d", "number")
    logger.info("kept")
    assert [line.split("msg=")[1] for line in journal.lines()] == ["kept"]
    assert journal.counted("log_dropped_total") == 2.0


class Stuck(io.StringIO):
    """A pipe whose reader has gone to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.release.wait(SAFE)
        return super().write(text)


def test_a_full_queue_loses_lines_and_never_blocks_or_raises(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Stuck()
    journal = Journal(stream=stream)
    logger.info("first")
    assert stream.entered.wait(SAFE)
    for _ in range(10_050):
        logger.info("more")
    assert journal.counted("log_messages_total", "info") == 10_051.0
    stream.release.set()
    assert len(journal.lines()) <= 10_001
    assert 50 <= journal.counted("log_dropped_total") <= 51
    assert capsys.readouterr() == ("", "")


def test_stop_waits_no_longer_than_a_second_for_a_stuck_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float | None] = []
    join = threading.Thread.join

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        waited.append(timeout)
        join(thread, 0.01)

    stream = Stuck()
    journal = Journal(stream=stream)
    logger.info("first")
    assert stream.entered.wait(SAFE)
    monkeypatch.setattr(threading.Thread, "join", joined)
    journal.log.stop()
    logging.shutdown()
    assert stream.getvalue() == "", "nobody waited for the write to end"
    stream.release.set()
    assert waited[0] == 1.0 or 1.0 in waited
    assert logging.getLogger().handlers == []


def test_stop_writes_what_is_queued_and_may_come_twice_or_before_the_start() -> None:
    journal = Journal()
    for _ in range(500):
        logger.info("line")
    assert len(journal.lines()) == 500
    journal.log.stop()
    Log(Meter(), io.StringIO()).stop()
