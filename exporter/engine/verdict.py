"""How a run ended, from what it raised: closed words for labels, and a line for people that quotes nobody."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NamedTuple

from exporter.model.errors import Backoff, Failure, NoData, Partial
from exporter.model.reason import Outcome, Reason

DETAIL_LENGTH = 500


class Verdict(NamedTuple):
    """An outcome with its reason. `up` says whether the collector did its job."""

    outcome: Outcome
    reason: Reason | None
    detail: str
    up: bool


def verdict(outcome: Outcome, reason: object = None, detail: object = "") -> Verdict:
    """A verdict fit for every output, whatever a plugin put into its exception."""
    if reason is not None and not isinstance(reason, Reason):
        reason = Reason.INTERNAL
    text = detail[:DETAIL_LENGTH].encode(errors="replace").decode() if isinstance(detail, str) else ""
    return Verdict(outcome, reason, text, outcome.up)


OK = verdict(Outcome.OK)
LATE = verdict(Outcome.TIMEOUT, Reason.TIMEOUT, "came after its timeout")
HUNG = verdict(Outcome.TIMEOUT, Reason.TIMEOUT, "did not end within its timeout")
OVERRUN = verdict(Outcome.ERROR, Reason.OVERRUN, "an earlier run has not ended")
REFUSED = verdict(Outcome.ERROR, Reason.LIMIT, "not run: memory is short")

_NO_MEMORY = verdict(Outcome.ERROR, Reason.LIMIT, "out of memory")
_USED_UP = {
    errno.EMFILE: verdict(Outcome.ERROR, Reason.LIMIT, "no file descriptor left"),
    errno.ENFILE: verdict(Outcome.ERROR, Reason.LIMIT, "no file descriptor left on the system"),
    errno.ENOMEM: _NO_MEMORY,
}


def judge(error: BaseException) -> tuple[Verdict, object]:
    """What an exception says about the run, and the result that came with it."""
    if isinstance(error, Partial):
        return verdict(Outcome.PARTIAL, error.reason, error.detail), error.result
    if isinstance(error, NoData):
        return verdict(Outcome.NODATA), None
    if not isinstance(error, Failure):
        return _used_up(error) or unforeseen(error), None
    if isinstance(error, Backoff):
        return verdict(Outcome.BACKOFF, error.reason, error.detail), None
    outcome = Outcome.TIMEOUT if error.reason is Reason.TIMEOUT else Outcome.ERROR
    return verdict(outcome, error.reason, error.detail), None


def _used_up(error: BaseException) -> Verdict | None:
    """What the collector could not have of the system."""
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    return _USED_UP.get(error.errno or 0) if isinstance(error, OSError) else None


def unforeseen(error: BaseException) -> Verdict:
    """The class of an exception and the line it came from; its text may quote secrets."""
    place, at = "", error.__traceback__
    while at is not None:
        place, at = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}", at.tb_next
    return verdict(Outcome.ERROR, Reason.INTERNAL, type(error).__name__ + place)
