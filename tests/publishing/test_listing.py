"""Several origins become one set of targets: who wins, and that the others are told."""

from __future__ import annotations

from itertools import permutations

import pytest

from exporter.model.reason import Flaw
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.listing import ORIGINS, Invalid, Listing, merge


def target(name: str, origin: str, source: str = "") -> Target:
    return Target(name, "slack", "slack", Secret("https://h/c4n4ry"), origin=origin, source=source)


def listing(origin: str, *places: str, **rest: int) -> Listing:
    """A listing of targets, each as `name@source`."""
    targets = tuple(target(name, origin, source) for name, _, source in (place.partition("@") for place in places))
    return Listing(origin=origin, targets=targets, skipped=rest.get("skipped", 0))


def test_targets_of_all_origins_are_one_set() -> None:
    merged = merge([listing("kubernetes", "c@n/c"), listing("static", "a@config"), listing("file", "b@t.yaml[0]")])
    assert [(target.name, target.origin) for target in merged.targets] == [
        ("a", "static"),
        ("b", "file"),
        ("c", "kubernetes"),
    ]
    assert merged.invalid == ()


def test_nothing_is_found_where_nothing_is_listed() -> None:
    assert merge([]).targets == ()


@pytest.mark.parametrize("order", list(permutations(ORIGINS)), ids="-".join)
def test_w_d4_of_one_name_in_several_origins_the_one_nearest_to_the_daemon_wins(order: tuple[str, ...]) -> None:
    merged = merge(listing(origin, f"ops@in {origin}") for origin in order)
    assert [target.origin for target in merged.targets] == ["static"]
    assert merged.invalid == tuple(
        Invalid(origin, f"in {origin}", Flaw.DUPLICATE, "the target ops is defined by static in static")
        for origin in ("file", "alertmanager", "kubernetes")
    )


@pytest.mark.parametrize("order", list(permutations(["a/x", "b/x", "b/y"])), ids="-".join)
def test_k8s11_of_one_name_in_several_secrets_the_first_by_name_wins_in_whatever_order_they_come(
    order: tuple[str, ...],
) -> None:
    merged = merge([listing("kubernetes", *(f"ops@{place}" for place in order))])
    assert [target.source for target in merged.targets] == ["a/x"]
    assert [(wrong.document, wrong.flaw) for wrong in merged.invalid] == [
        ("b/x", Flaw.DUPLICATE),
        ("b/y", Flaw.DUPLICATE),
    ]
    assert {wrong.detail for wrong in merged.invalid} == {"the target ops is defined by kubernetes a/x"}


def test_what_is_invalid_skipped_and_counted_adds_up() -> None:
    wrong = Invalid("alertmanager", "am.yml ops/slack/0", Flaw.FIELD, "url: expected a text")
    receivers = Listing(origin="alertmanager", invalid=(wrong,), integrations={"ops": 1, "null": 0})
    merged = merge([listing("kubernetes", skipped=2), receivers, listing("file", skipped=1)])
    assert (merged.invalid, merged.skipped, merged.integrations) == ((wrong,), 3, {"ops": 1, "null": 0})


def test_no_report_of_a_duplicate_holds_its_url() -> None:
    assert "c4n4ry" not in repr(merge([listing("file", "ops@1", "ops@2")]))
