"""The lines of a metrics page, one by one, as the two formats have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.publishing.dialects.page import Series

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_QUOTED = r'"(?:[^"\\\n]|\\[\\"n])*+"'
_LABELS = rf'\{{((?:[^"{{}}\n]++|{_QUOTED})*+)\}}'
_NUMBER = r"(?:[+-]?(?:(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|(?i:inf(?:inity)?))|(?i:nan))"
_STAMP = r"[+-]?[0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?"

_LABEL = re.compile(rf"[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+({_QUOTED})[ \t]*+(,|\Z)[ \t]*+")
_SAMPLE = re.compile(rf"[ \t]*+({_NAME})(?:[ \t]*+{_LABELS})?[ \t]*+({_NUMBER})(?:[ \t]++[+-]?[0-9]++)?[ \t]*+")
_OPEN_SAMPLE = re.compile(
    rf"({_NAME})(?:{_LABELS})? ({_NUMBER})(?: {_STAMP})?(?: # {_LABELS} {_NUMBER}(?: {_STAMP})?)?"
)
_DECLARATION = re.compile(rf"[ \t]*+#[ \t]*+(HELP|TYPE)[ \t]++({_NAME})(?:[ \t]++(.*))?")
_BROKEN_DECLARATION = re.compile(r"[ \t]*+#[ \t]*+(HELP|TYPE)(?:[ \t].*)?")
_OPEN_DECLARATION = re.compile(rf"# (HELP|TYPE|UNIT) ({_NAME})(?: (.*))?")
_ESCAPE = re.compile(r'\\([\\"n])')

# A number that means what it says: what is not finite says so.
PLAIN_NUMBER = re.compile(r"[+-]?(?i:inf(?:inity)?)|(?i:nan)")
_NUMERIC = re.compile(_NUMBER)

_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_OPEN_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "gaugehistogram"})
_ENDINGS: Mapping[str, tuple[str, ...]] = {  # how samples of a family are named in OpenMetrics
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "summary": ("", "_sum", "_count", "_created"),
    "info": ("_info",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """How much of a page is read; a page with more is refused."""

    samples: int = 100_000
    line: int = 64 << 10  # characters
    labels: int = 64
    value: int = 16 << 10  # characters of a label's value


class Written(NamedTuple):
    """A series, and what tells it from others however its labels are ordered."""

    series: Series
    identity: tuple[object, ...]


class _Wrong(Exception):
    """What is wrong with a line, in words of ours."""


class _TooMuch(_Wrong):
    """It is over a limit."""


class TextLines:
    """Reads the lines of a page in the text format. `bare` says that each sample's line ends with its number."""

    _sample = _SAMPLE

    def __init__(self, limits: PageLimits, known: Mapping[str, Written]) -> None:
        self.found: dict[tuple[object, ...], Written] = {}
        self.written: dict[str, Written] = {}
        self.values: list[float] = []
        self.samples: list[bool] = []
        self.beginnings: list[str] = []
        self.bare = True
        self._limits = limits
        self._known = known
        self._declared: set[tuple[str, str]] = set()
        self._names: set[str] = set()

    def all(self, lines: Sequence[str]) -> None:
        """Reads every line; the first that is wrong ends it."""
        if failure := self._first_wrong(lines):
            raise failure

    def _first_wrong(self, lines: Sequence[str]) -> Failure | None:
        number = 0
        try:
            for line in lines:
                number += 1
                self._line(line)
            self._end(lines)
        except _Wrong as wrong:
            reason = Reason.LIMIT if isinstance(wrong, _TooMuch) else Reason.PARSE
            return Failure(reason, f"line {number}: {wrong}")
        return None

    def _end(self, lines: Sequence[str]) -> None:
        if not self.found and not self._declared and any(line.strip() for line in lines):
            raise _Wrong("the page holds neither a sample nor a declaration")

    def _line(self, line: str) -> None:
        if len(line) > self._limits.line:
            raise _TooMuch(f"it is longer than {self._limits.line} characters")
        written, text = self._remembered(line)
        if written is None:
            if self._is_other(line):
                self.samples.append(False)
                self.beginnings.append(line)
                return
            written, text = self._read(line)
        if written.identity in self.found:
            raise _Wrong("the series is there twice")
        value = float(text)
        if not isfinite(value) and not PLAIN_NUMBER.fullmatch(text):
            raise _Wrong("the number is too large")
        if len(self.values) == self._limits.samples:
            raise _TooMuch(f"there are more than {self._limits.samples} samples")
        self._belongs(written.series.name)
        self.found[written.identity] = written
        self.values.append(value)
        self.samples.append(True)
        self.beginnings.append(line[: len(line) - len(text)])

    def _remembered(self, line: str) -> tuple[Written | None, str]:
        head, _, text = line.rpartition(" ")
        written = self._known.get(head)
        if written is None or not _NUMERIC.fullmatch(text):
            return None, ""
        self.written[head] = written
        return written, text

    def _read(self, line: str) -> tuple[Written, str]:
        match = self._sample.fullmatch(line)
        if match is None or (match[2] is None and line[match.end(1)] not in " \t"):
            raise _Wrong("it is no sample")
        head = line[: match.start(3) - 1]
        written = self._known.get(head) or self._series(match[1], match[2])
        self.written[head] = written
        if match.end(3) != len(line) or line[match.start(3) - 1] != " ":
            self.bare = False
        return written, match[3]

    def _series(self, name: str, text: str | None) -> Written:
        labels: dict[str, str] = {}
        position = 0
        while text and position < len(text.rstrip(" \t")):
            match = _LABEL.match(text, position)
            if match is None or not (match[3] or match.end() == len(text)):
                raise _Wrong("its labels are not legal")
            if match[1] in labels:
                raise _Wrong("a label is there twice")
            if len(match[2]) > self._limits.value or len(labels) == self._limits.labels:
                raise _TooMuch("it has too many labels, or one that is too long")
            labels[match[1]] = _unescaped(match[2][1:-1])
            position = match.end()
        # To Prometheus a label without a value is one that is not there.
        present = sorted((label, value) for label, value in labels.items() if value)
        return Written(Series(name, labels), (name, *present))

    def _is_other(self, line: str) -> bool:
        """Whether it is a line without a sample: blank, a comment, or a declaration, which must be legal."""
        if not line.lstrip(" \t").startswith("#"):
            return not line.strip(" \t")
        match = _DECLARATION.fullmatch(line)
        if match is None:
            if _BROKEN_DECLARATION.fullmatch(line):
                raise _Wrong("the declaration is not legal")
            return True
        self._once(match[1], match[2])
        if match[1] == "TYPE":
            if (match[3] or "").strip(" \t") not in _TYPES:
                raise _Wrong("there is no such type")
            if match[2] in self._names:
                raise _Wrong("the type comes after a sample")
        return True

    def _once(self, what: str, name: str) -> None:
        if (what, name) in self._declared:
            raise _Wrong("a family is declared twice")
        self._declared.add((what, name))

    def _belongs(self, name: str) -> None:
        self._names.add(name)


class OpenMetricsLines(TextLines):
    """Reads the lines of a page of OpenMetrics: families stand together, and the page says where it ends."""

    _sample = _OPEN_SAMPLE

    def __init__(self, limits: PageLimits, known: Mapping[str, Written]) -> None:
        super().__init__(limits, known)
        self._family = ""
        self._kind = "unknown"
        self._sampled = False
        self._over: set[str] = set()
        self._ended = False

    def _end(self, lines: Sequence[str]) -> None:
        if not self._ended:
            raise _Wrong("the end of the page is missing")

    def _line(self, line: str) -> None:
        if self._ended:
            raise _Wrong("something follows the end of the page")
        super()._line(line)

    def _is_other(self, line: str) -> bool:
        if not line.startswith("#"):
            return False
        if line == "# EOF":
            self._ended = True
            return True
        match = _OPEN_DECLARATION.fullmatch(line)
        if match is None:
            raise _Wrong("the declaration is not legal")
        what, name, text = match.groups()
        if name != self._family:
            self._begin(name)
        if self._sampled:
            raise _Wrong("a declaration comes after a sample")
        self._once(what, name)
        if what == "TYPE":
            if text not in _OPEN_TYPES:
                raise _Wrong("there is no such type")
            self._kind = text
        if what == "UNIT" and text and not name.endswith(f"_{text}"):
            raise _Wrong("the name does not end in its unit")
        return True

    def _begin(self, name: str) -> None:
        self._over.add(self._family)
        if name in self._over:
            raise _Wrong("the lines of a family do not stand together")
        self._family, self._kind, self._sampled = name, "unknown", False

    def _belongs(self, name: str) -> None:
        endings: Iterable[str] = _ENDINGS.get(self._kind, ("",))
        if not any(name == self._family + ending for ending in endings):
            if name == self._family:
                raise _Wrong("the sample does not have a name of its family's type")
            self._begin(name)
        self._sampled = True


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
