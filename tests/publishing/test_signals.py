"""Whether a target can be delivered to, step by step."""

from __future__ import annotations

import pytest

from exporter.model.reason import Reason
from exporter.publishing.deliveries import Published, Tally
from exporter.publishing.signals import NEVER, LastPublish, Publishes, Signal, Use, probed, use_of
from exporter.publishing.verdict import HealthState
from tests.publishing.services import health

A, B = ("history", "a:1"), ("history", "b:1")
WELL = "resolve connect tls answer"


def words(found: object) -> str:
    assert isinstance(found, dict)
    return " ".join(f"{signal}" if yes else f"!{signal}" for signal, yes in found.items())


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (HealthState.HEALTHY, None, WELL),
        (HealthState.DEGRADED, None, WELL),
        (HealthState.UNHEALTHY, Reason.DNS, "!resolve"),
        (HealthState.UNHEALTHY, Reason.CONNECT, "resolve !connect"),
        (HealthState.UNHEALTHY, Reason.TLS, "resolve connect !tls"),
        (HealthState.UNHEALTHY, Reason.TIMEOUT, "!answer"),
        (HealthState.UNHEALTHY, Reason.HTTP_STATUS, "resolve connect tls !answer"),
        (HealthState.UNHEALTHY, Reason.REDIRECT, "resolve connect tls !answer"),
        (HealthState.DEGRADED, Reason.RATE_LIMITED, "resolve connect tls !answer"),
        (HealthState.DEGRADED, Reason.AUTH, "resolve connect tls"),
        (HealthState.UNHEALTHY, Reason.CONFIG, ""),
        (HealthState.UNHEALTHY, Reason.LIMIT, ""),
        (HealthState.UNKNOWN, None, ""),
    ],
)
def test_a_probe_tells_how_far_it_came(state: HealthState, reason: Reason | None, said: str) -> None:
    assert words(dict(probed(health("ops", state, last_reason=reason)))) == said


def test_a_target_without_encryption_has_no_signal_of_it() -> None:
    assert Signal.TLS not in probed(health("ops", shown="http://ops.example.org"))
    assert probed(health("mail", shown="smtp://mail.example.org", tls_expiry=4e9))[Signal.TLS]


def test_a_target_that_was_never_probed_has_no_signals() -> None:
    assert probed(health("ops", last_probe=None)) == {}


# -- the last delivery


def seen(*looks: dict[str, tuple[float, float]], at: float = 100.0) -> Publishes:
    """One replica looked at again and again, every second."""
    publishes = Publishes()
    for number, look in enumerate(looks):
        counts: dict[tuple[tuple[str, str], str | None], Tally] = {
            (A, name): Tally(*tally) for name, tally in look.items()
        }
        publishes.observe(counts, {A: at + number})
    return publishes


def test_a_count_that_rises_is_a_delivery() -> None:
    publishes = seen({"ops": (5, 0)}, {"ops": (6, 0)}, {"ops": (6, 0)}, {"ops": (6, 2)})
    assert publishes.of("ops") == LastPublish(success=101.0, failure=103.0, succeeded=False)
    assert publishes.of("ops").times() == {"success": 101.0, "failure": 103.0}


def test_what_was_counted_before_anybody_looked_has_no_time() -> None:
    assert seen({"ops": (5, 1)}).of("ops") == NEVER
    assert seen({"ops": (5, 1)}, {"ops": (5, 1)}).of("ops") == NEVER


def test_a_target_that_is_new_while_the_service_is_watched_began_at_0() -> None:
    assert seen({}, {"ops": (2, 0)}).of("ops") == LastPublish(success=101.0, succeeded=True)


def test_a_service_that_was_restarted_began_at_0_again() -> None:
    assert seen({"ops": (5, 3)}, {"ops": (1, 0)}).of("ops") == LastPublish(success=101.0, succeeded=True)
    assert seen({"ops": (5, 3)}, {"ops": (0, 0)}).of("ops") == NEVER


def test_of_several_within_one_look_most_decide() -> None:
    assert seen({"ops": (0, 0)}, {"ops": (9, 1)}).of("ops").succeeded is True
    assert seen({"ops": (0, 0)}, {"ops": (1, 1)}).of("ops").succeeded is False


def test_a_replica_that_could_not_be_scraped_has_not_been_restarted() -> None:
    publishes = seen({"ops": (5, 0)})
    publishes.observe({}, {})
    publishes.observe({(A, "ops"): Tally(6, 0)}, {A: 105.0})
    assert publishes.of("ops") == LastPublish(success=105.0, succeeded=True)


def test_replicas_are_told_apart() -> None:
    publishes = seen({"ops": (5, 0)})
    publishes.observe({(A, "ops"): Tally(5, 0), (B, "ops"): Tally(900, 0)}, {A: 101.0, B: 101.0})
    assert publishes.of("ops") == NEVER, "what a new replica counted happened before it was watched"
    publishes.observe({(A, "ops"): Tally(5, 1), (B, "ops"): Tally(903, 0)}, {A: 102.0, B: 103.0})
    assert publishes.of("ops") == LastPublish(success=103.0, failure=102.0, succeeded=True)


def test_what_history_knows_stands_in_until_something_is_seen() -> None:
    earlier = LastPublish(success=50.0, succeeded=True)
    publishes = seen({"ops": (5, 0)}, {"ops": (5, 1)})
    publishes.recall({"ops": earlier, "audit": earlier})
    assert publishes.of("ops").succeeded is False
    assert publishes.of("audit") == earlier


def test_what_is_gone_is_forgotten() -> None:
    publishes = seen({"ops": (5, 0), "audit": (1, 0)}, {"ops": (6, 0), "audit": (2, 0)})
    publishes.forget({"audit"}, [A])
    assert (publishes.of("ops"), publishes.of("audit").success) == (NEVER, 101.0)
    publishes.forget({"audit"}, [B])
    publishes.observe({(A, "audit"): Tally(9, 0)}, {A: 110.0})
    assert publishes.of("audit").success == 101.0, "a replica that came back is a new one"


# -- use


def test_whether_a_target_is_used() -> None:
    published = Published(frozenset({"ops", "stray"}), whole=True)
    assert use_of("ops", {"ops", "idle"}, published) is Use.USED
    assert use_of("idle", {"ops", "idle"}, published) is Use.UNUSED
    assert use_of("stray", {"ops", "idle"}, published) is Use.UNCONFIGURED
    assert use_of("idle", {"idle"}, Published(frozenset({"ops"}), whole=False)) is None
