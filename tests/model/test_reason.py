"""The closed sets."""

from exporter.model.reason import Drop, Outcome, Reason, Storage


def test_a_collector_is_up_if_it_did_its_job() -> None:
    assert {outcome.value for outcome in Outcome if outcome.up} == {"ok", "partial", "nodata"}


def test_the_words_are_those_of_labels_and_log_lines() -> None:
    words = [str(word) for words in (Outcome, Reason, Drop, Storage) for word in words]
    assert words == [word.lower() for word in words]
    assert f"{Reason.RATE_LIMITED}" == "rate_limited"
