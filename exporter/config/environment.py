"""`${NAME}`, `${NAME:-default}` and `$$` in string values."""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_CHARACTERS = 1 << 20

# A dollar before anything else stays as it is: queries hold `$__range` and `$1`.
_REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|(\{))")


class Expansion:
    """Expands strings, within a budget: a short file could name a long variable a hundred thousand times.

    What was expanded stays a string, also where a number or boolean is wanted: a variable's content never changes the
    type of a value, so that a password of digits remains a password.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._left = MOST_CHARACTERS

    def expand(self, text: str) -> tuple[str, list[str]]:
        """The text with its references replaced, and what is wrong with them."""
        if "$" not in text:
            return text, []
        complaints: list[str] = []
        parts: list[str] = []
        position = 0
        for match in _REFERENCE.finditer(text):
            replacement, complaint = self._replace(match)
            if complaint:
                complaints.append(complaint)
            parts += text[position : match.start()], replacement
            position = match.end()
        return "".join(parts) + text[position:], list(dict.fromkeys(complaints))

    def _replace(self, match: re.Match[str]) -> tuple[str, str]:
        dollar, name, has_default, default, malformed = match.groups()
        if dollar:
            return "$", ""
        if malformed:
            return "", "expected ${NAME} or ${NAME:-default}; write $$ for a dollar sign"
        value = self._environ.get(name)
        if value is None and not has_default:
            return "", f"environment variable {name} is not set; ${{{name}:-…}} would give a default"
        if not value and has_default:
            value = default
        assert value is not None
        self._left -= len(value)
        if self._left < 0:
            return "", "environment variables expand to too much text"
        # An environment may hold bytes that are no text; they arrive as surrogates, which cannot be encoded again.
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "", f"environment variable {name} is not UTF-8 text"
        return value, ""


class AsWritten(Expansion):
    """For documents that know no variables: a dollar sign is one."""

    def __init__(self) -> None:
        super().__init__({})

    def expand(self, text: str) -> tuple[str, list[str]]:
        """The text as it stands."""
        return text, []
