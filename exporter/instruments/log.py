"""Logging: one line per event as logfmt or JSON, never blocking the loop, never telling a secret."""

from __future__ import annotations

import base64
import json
import logging
import logging.handlers
import os
import queue
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from exporter.instruments.meter import CounterCell, Meter
from exporter.model.secret import MASK, Secret, live

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_ESCAPE = re.compile("%[0-9A-F]{2}")
_PLAIN = re.compile(r"[\w.:/@%+,\[\]<>-]+\Z")

# Client libraries put URLs, headers and bodies into their messages: below this level they have nothing to say here.
_LIBRARIES = ("aiohttp", "asyncio", "kubernetes", "urllib3", "charset_normalizer")


def say(logger: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Logs a constant message with fields, so that lines can be searched and counted by either."""
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={"fields": fields})


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, "error" if record.levelno > logging.ERROR else "info")


def _pairs(record: logging.LogRecord) -> dict[str, object]:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs: dict[str, object] = {"ts": stamp, "level": _level(record), "msg": record.getMessage()}
    if not record.name.startswith("exporter"):
        pairs["logger"] = record.name
    if record.exc_info and record.exc_info[0] is not None:
        # The class alone: the text of an exception may quote what it choked on.
        pairs["exception"] = record.exc_info[0].__name__
    pairs.update(getattr(record, "fields", {}))
    return pairs


class Logfmt(logging.Formatter):
    """key=value pairs; quoted where a reader would otherwise go astray."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={self._value(value)}" for key, value in _pairs(record).items())

    @staticmethod
    def _value(value: object) -> str:
        text = value if isinstance(value, str) else str(value)
        return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=not text.isprintable())


class Json(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_pairs(record), default=str)


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class StandardError:
    """Standard error without a buffer, so that a line is written at once or never: what is counted as lost is lost."""

    def __init__(self) -> None:
        self._descriptor = 2 if sys.stderr is not None else -1  # it was closed before we began

    def write(self, text: str, /) -> None:
        """Writes all of a text or raises OSError."""
        encoded = text.encode(errors="backslashreplace")
        if os.write(self._descriptor, encoded) < len(encoded):
            raise OSError("the line was cut short")

    def flush(self) -> None:
        """Nothing is kept back."""


class Redacting(logging.Handler):
    """Writes lines to a stream, replacing every known secret: a net, whose counter tests require to stay at 0."""

    def __init__(self, stream: Stream, redactions: CounterCell, lost: CounterCell) -> None:
        super().__init__()
        self._stream = stream
        self._redactions = redactions
        self._lost = lost
        self._known: Sequence[weakref.ref[Secret]] = []
        self._forms: list[str] = []

    def createLock(self) -> None:  # noqa: N802  # the name is the standard library's
        """Only one thread writes. A lock held by a write that is stuck would hold up the end of the process."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(self._redact(self.format(record)) + "\n")
            self._stream.flush()
        except Exception:
            # The stream is closed or full, or a field cannot be shown: there is nowhere left to say it.
            self._lost.inc()

    def _redact(self, line: str) -> str:
        known = live.valuerefs()
        if known != self._known:
            # Once for each secret and not for each line: this thread shares the processor with the event loop.
            found = {form for ref in known if (secret := ref()) is not None for form in forms(secret.reveal())}
            # The longest first: one secret may be the beginning of another.
            self._forms = sorted(found, key=len, reverse=True)
            self._known = known
        for form in self._forms:
            if form in line:
                line = line.replace(form, MASK)
                self._redactions.inc()
        return line


def forms(secret: str) -> set[str]:
    """How a secret may look in a line. Shorter ones than six characters would blank ordinary words."""
    if len(secret) < 6 or secret == MASK:
        return set()
    raw = secret.encode(errors="surrogatepass")
    quoted = {quote(raw, safe=""), quote(raw)}
    escaped = {secret, *_escaped(secret)}
    encoded = {
        *quoted,
        *(_ESCAPE.sub(lambda escape: escape[0].lower(), text) for text in quoted),
        *_base64(raw),
    }
    # Escaped twice: first in a body that was JSON itself, and then by the line it is on.
    return encoded | escaped | {again for text in (*escaped, repr(secret)[1:-1]) for again in (text, *_escaped(text))}


def _escaped(text: str) -> tuple[str, str]:
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def _base64(raw: bytes) -> Iterator[str]:
    """What no neighbour can change of the encoded form, for each place it can have in a longer text."""
    for before in range(3):
        start, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        yield base64.b64encode(bytes(before) + raw).decode()[start:end]
        yield base64.urlsafe_b64encode(bytes(before) + raw).decode()[start:end]


class _Counting(logging.Handler):
    """Counts messages by level."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        messages = meter.counter("log_messages_total", "Log messages by level.", ("level",))
        self._cells = {level: messages.labels(name) for level, name in _NAMES.items()}

    def emit(self, record: logging.LogRecord) -> None:
        self._cells.get(record.levelno, self._cells[logging.ERROR]).inc()


class _Queue(logging.handlers.QueueHandler):
    def __init__(self, lines: queue.Queue[Any], lost: CounterCell) -> None:
        super().__init__(lines)
        self._lost = lost

    def prepare(self, record: logging.LogRecord) -> Any:
        return record  # stays in this process: formatting can wait for the writing thread

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is the standard library's
        """The queue is full: saying so would need another line."""
        self._lost.inc()


class _Listener(logging.handlers.QueueListener):
    def enqueue_sentinel(self) -> None:
        self.queue.put(self._sentinel)  # type: ignore[attr-defined]  # waits for room: the lines before it count


class Log:
    """The process's logging: started once, level and format changed on reload, drained at the end."""

    def __init__(self, meter: Meter, stream: Stream | None = None) -> None:
        redactions = meter.counter("log_redactions_total", "Secrets the last net before the log had to catch.")
        lost = meter.counter("log_dropped_total", "Log lines that could not be written.").labels()
        self._writer = Redacting(stream or StandardError(), redactions.labels(), lost)
        # Bounded: with a stuck pipe on the other side lines are lost, not memory.
        lines: queue.Queue[Any] = queue.Queue(10_000)
        self._queue = _Queue(lines, lost)
        self._listener = _Listener(lines, self._writer)
        self._counting = _Counting(meter)
        self._handlers: list[logging.Handler] = [self._counting, self._queue]
        self._root = logging.getLogger()
        self._level = logging.INFO
        self._started = False

    def start(self, level: str, format: str) -> None:
        """Takes over the root logger."""
        self.configure(level, format)
        self._root.handlers[:] = self._handlers
        self._listener.start()
        self._started = True

    def configure(self, level: str, format: str) -> None:
        """Changes level and format while running."""
        self._writer.setFormatter(Json() if format == "json" else Logfmt())
        self._level = LEVELS[level]
        self._set_levels()

    def _set_levels(self) -> None:
        self._root.setLevel(self._level)
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(max(logging.WARNING, self._level))

    def retake(self) -> bool:
        """Undoes what a plugin has done to the logging of the process; tells whether there was anything."""
        ours = logging.getLogger("exporter")
        as_it_was = (
            self._root.level == self._level
            and self._root.handlers == self._handlers
            and not self._root.manager.disable
            and not ours.disabled
        )
        if as_it_was or not self._started:
            return False
        self._set_levels()
        self._root.handlers[:] = self._handlers
        logging.disable(logging.NOTSET)
        for name, logger in self._root.manager.loggerDict.items():
            if isinstance(logger, logging.Logger) and name.partition(".")[0] == ours.name:
                logger.disabled = False
        return True

    def stop(self) -> None:
        """Writes what is still queued, for a second at most: whoever reads the other end may be stuck."""
        if not self._started:
            return
        self._started = False
        self._root.handlers[:] = []
        drain = threading.Thread(target=self._listener.stop, daemon=True)
        drain.start()
        drain.join(1.0)
