"""What a collector or a source may raise. The text in `detail` is shown to people: it never quotes a client library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model.reason import Reason, Storage

if TYPE_CHECKING:
    from exporter.model.metric import Result


class Failure(Exception):
    """A run, or a call of a source, failed for a known reason."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Backoff(Failure):
    """The remote asked to be left alone for a while; nothing was attempted."""


class Partial(Exception):
    """The run ended with a result that is true but not whole."""

    def __init__(self, result: Result, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.result = result
        self.reason = reason
        self.detail = detail


class NoData(Exception):
    """There is nothing to report, and that is not a failure."""


class Unavailable(Exception):
    """What was kept cannot be read now, or nothing can be kept."""

    def __init__(self, reason: Storage, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
