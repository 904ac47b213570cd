"""A value that cannot print itself."""

from __future__ import annotations

import hmac
import weakref
from itertools import count
from typing import Any

MASK = "<secret>"

# The log filter looks for these in every line: a net under the mechanism, which is the type below.
# Numbered: of two equal secrets in a set only one would be kept, and forgotten with it.
live: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()
_numbers = count()


class Secret:
    """Holds text that must never reach an output: str, repr, format, pickle, copy and JSON all give the mask."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        live[next(_numbers)] = self

    def reveal(self) -> str:
        """The text itself. Called only where it is sent to the remote it belongs to."""
        return self._value

    def _bytes(self) -> bytes:
        # What came from the environment may hold what cannot be encoded otherwise.
        return self._value.encode(errors="surrogatepass")

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (MASK,))
