"""What an exception says about a run."""

from __future__ import annotations

import errno

import pytest

from exporter.engine.verdict import DETAIL_LENGTH, judge, unforeseen, verdict
from exporter.model.errors import Failure
from exporter.model.reason import Outcome, Reason


def test_details_can_be_encoded_and_have_an_end() -> None:
    assert verdict(Outcome.ERROR, Reason.DNS, "\ud800" + "x" * 9999).detail == "?" + "x" * (DETAIL_LENGTH - 1)
    assert verdict(Outcome.ERROR, Reason.DNS, object()).detail == ""


def test_a_made_up_reason_is_internal() -> None:
    assert verdict(Outcome.ERROR, "timeout").reason is Reason.INTERNAL
    assert verdict(Outcome.OK).reason is None


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert unforeseen(ValueError("secret")).detail == "ValueError"


def test_the_place_is_the_innermost_one() -> None:
    def inner() -> None:
        raise ValueError("secret")

    with pytest.raises(ValueError, match="secret") as caught:
        inner()
    line = inner.__code__.co_firstlineno + 1
    assert unforeseen(caught.value).detail == f"ValueError at test_verdict.py:{line}"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("secret"),
        OSError(errno.EMFILE, "secret"),
        OSError(errno.ENFILE, "secret"),
        OSError(errno.ENOMEM, ""),
    ],
)
def test_PROC4_what_the_system_could_not_give_is_a_limit(error: BaseException) -> None:
    found, result = judge(error)
    assert (found.outcome, found.reason, result) == (Outcome.ERROR, Reason.LIMIT, None)
    assert "left" in found.detail or "out of memory" in found.detail


@pytest.mark.parametrize("error", [OSError("without a number"), OSError(errno.EACCES, "secret")])
def test_any_other_error_of_the_system_is_unforeseen(error: OSError) -> None:
    assert judge(error)[0].reason is Reason.INTERNAL


def test_outcomes_tell_whether_the_collector_did_its_job() -> None:
    assert judge(Failure(Reason.AUTH, "refused"))[0] == (Outcome.ERROR, Reason.AUTH, "refused", False)
