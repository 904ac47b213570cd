"""Whatever a remote answers: it is understood as it was meant, or it is a failure with a reason from the closed set."""

from __future__ import annotations

import asyncio
import re
import traceback
from typing import Any

import pytest

from exporter.engine.threads import DaemonPool
from exporter.model.errors import Failure
from exporter.model.reason import Reason
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import RealClock
from tests.fuzz.answers import LARGEST, Played, mark, played
from tests.fuzz.campaign import Campaign, amounts
from tests.fuzz.remote import answering

TIMEOUT = 2.0  # seconds for one answer
PATIENCE = 10.0  # seconds within which an answer or a failure must be there, on a busy machine
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
ABSENT = "there is no outbound client here yet, and the library's takes answers that are none"
REASONS = frozenset({Reason.TIMEOUT, Reason.CONNECT, Reason.DECODE, Reason.TOO_LARGE, Reason.REDIRECT})


def judge(failure: Failure, meant: Played, seed: int) -> None:
    """A failure has a reason that fits, and nothing of the remote's in it; a good answer is none."""
    assert meant.plain is None, f"a good answer was refused: {failure.reason}, {failure.detail}"
    assert failure.reason in REASONS, f"{failure.reason}: {failure.detail}"
    shown = "".join(traceback.format_exception(failure)) + str(vars(failure))
    assert mark(seed) not in shown, "what the remote said is repeated"
    assert (failure.__cause__, failure.__context__) == (None, None), "another exception hangs on the failure"


class Answers:
    """Makes the answer of each seed, once."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign

    def __call__(self, seed: int) -> Played:
        return played(self._campaign.dice(seed), seed)


@amounts(1500)
async def test_every_answer_to_a_probe_has_a_meaning(amount: int) -> None:
    """A probe gives a status or a failure, in time, whatever comes back."""
    pytest.importorskip("exporter.sources.http", reason=ABSENT)
    campaign = Campaign("answer to a probe")
    prober = Prober(DaemonPool("dns", 1), AddressPolicy(), RealClock(), TlsOptions())
    async with answering(Answers(campaign)) as url:

        async def one(seed: int) -> None:
            target = Target(name="t", type="webhook", format="webhook", url=Secret(f"{url}{seed}"), origin="static")
            meant = played(campaign.dice(seed), seed)
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await prober.probe(target, "GET", False, TIMEOUT)
            except Failure as failure:
                judge(failure, meant, seed)
            else:
                assert 100 <= answer.status <= 999
                assert not meant.status or answer.status == meant.status, f"{answer.status} for {meant.status}"
                assert answer.retry_after is None or 0 < answer.retry_after <= 3600

        await campaign.concurrently(amount, one)
    await prober.close()
    campaign.end()


@amounts(1500)
async def test_every_answer_to_the_client_has_a_meaning(amount: int) -> None:
    """The client gives the body that was meant or a failure, in time, and connections that are used again stay good."""
    http: Any = pytest.importorskip("exporter.sources.http", reason=ABSENT)
    campaign, clock = Campaign("answer to the client"), RealClock()
    from exporter.sources.resolver import Resolver

    resolver = Resolver(DaemonPool("names", 1), clock)
    client = http.Client(resolver, clock, TlsOptions(), limits=http.Limits(body=LARGEST), per_host=16)
    async with answering(Answers(campaign)) as url:

        async def one(seed: int) -> None:
            meant = played(campaign.dice(seed), seed)
            request = http.Request(url=Secret(f"{url}{seed}"))
            try:
                async with asyncio.timeout(PATIENCE):
                    reply = await client.ask(request, TIMEOUT, redirects=seed % 2 and 1)
            except Failure as failure:
                judge(failure, meant, seed)
            else:
                assert 200 <= reply.status <= 999 or reply.status == 101, f"status {reply.status}"
                assert len(reply.body) <= LARGEST, f"a body of {len(reply.body)} bytes"
                assert reply.retry_after is None or 0 < reply.retry_after <= 3600
                assert mark(seed) not in repr(reply), "what the remote said is shown"
                assert not _CONTROL.search("".join(reply.headers.values())), "a header with a control character"
                if meant.plain is not None:
                    assert (reply.status, reply.body) == (meant.status, meant.plain), "not what was meant"

        await campaign.concurrently(amount, one)
    await resolver.close()
    await client.close()
    campaign.end()
