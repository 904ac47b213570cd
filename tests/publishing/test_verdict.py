"""What an answer means, per type."""

from __future__ import annotations

import pytest

from exporter.model.reason import Reason
from exporter.publishing.document import TYPES
from exporter.publishing.verdict import Finding, HealthState, ProbePolicy, Verdict, judge

HEALTHY = Verdict(Finding.HEALTHY)


def verdict(status: int, kind: str = "slack", latency: float = 0.1) -> Verdict:
    return judge(ProbePolicy.of(kind), status, latency, degraded_latency=1.0)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("status", [200, 204, 299, 400, 405, 415, 422])
def test_w_h1_write_only_endpoints_that_refuse_a_bare_get_are_healthy(kind: str, status: int) -> None:
    assert verdict(status, kind) == HEALTHY


@pytest.mark.parametrize(
    ("status", "finding", "reason"),
    [
        (401, Finding.DEGRADED, Reason.AUTH),
        (403, Finding.DEGRADED, Reason.AUTH),
        (407, Finding.DEGRADED, Reason.AUTH),
        (404, Finding.DEGRADED, Reason.HTTP_STATUS),
        (410, Finding.DEGRADED, Reason.HTTP_STATUS),
        (418, Finding.DEGRADED, Reason.HTTP_STATUS),
        (429, Finding.DEGRADED, Reason.RATE_LIMITED),
        (301, Finding.FAILURE, Reason.REDIRECT),
        (304, Finding.FAILURE, Reason.REDIRECT),
        (101, Finding.FAILURE, Reason.HTTP_STATUS),
        (500, Finding.FAILURE, Reason.HTTP_STATUS),
        (503, Finding.FAILURE, Reason.HTTP_STATUS),
        (600, Finding.FAILURE, Reason.HTTP_STATUS),
    ],
)
def test_every_other_answer_has_its_finding_and_reason(status: int, finding: Finding, reason: Reason) -> None:
    assert verdict(status) == Verdict(finding, reason)
    assert verdict(status, latency=30.0) == Verdict(finding, reason), "slowness does not hide the reason"


def test_a_missing_page_is_normal_for_a_webhook_and_a_revoked_address_for_the_others() -> None:
    found = {kind: verdict(404, kind).finding for kind in TYPES}
    assert found == {kind: Finding.HEALTHY if kind == "webhook" else Finding.DEGRADED for kind in TYPES}


@pytest.mark.parametrize("status", [200, 405])
def test_w_h2_a_slow_answer_is_degraded_from_the_threshold_on(status: int) -> None:
    assert verdict(status, latency=0.999) == HEALTHY
    assert verdict(status, latency=1.0) == Verdict(Finding.DEGRADED)


def test_what_counts_as_reachable_can_be_replaced_but_not_beyond_4xx() -> None:
    policy = ProbePolicy.of("webhook", "HEAD", [401, 500], send_headers=True)
    assert (policy.method, policy.send_headers) == ("HEAD", True)
    assert judge(policy, 401, 0.1, 1.0) == HEALTHY
    assert judge(policy, 404, 0.1, 1.0) == Verdict(Finding.DEGRADED, Reason.HTTP_STATUS)
    assert judge(policy, 405, 0.1, 1.0) == Verdict(Finding.DEGRADED, Reason.HTTP_STATUS)
    assert judge(policy, 500, 0.1, 1.0) == Verdict(Finding.FAILURE, Reason.HTTP_STATUS)


def test_states_have_the_numbers_that_were_promised() -> None:
    assert {state.value: state.number for state in HealthState} == {
        "unknown": 0, "healthy": 1, "degraded": 2, "unhealthy": 3
    }  # fmt: skip
