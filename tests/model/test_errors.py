"""What may be raised."""

from exporter.model.errors import Backoff, Failure, Partial
from exporter.model.metric import Result
from exporter.model.reason import Reason


def test_errors_carry_their_reason_and_a_line_for_people() -> None:
    assert (Failure(Reason.DNS, "no such name").reason, Failure(Reason.DNS).detail) == (Reason.DNS, "")
    assert isinstance(Backoff(Reason.RATE_LIMITED), Failure)
    partial = Partial(Result(), Reason.CONNECT, "one of two")
    assert (partial.result, partial.reason, partial.detail) == (Result(), Reason.CONNECT, "one of two")
