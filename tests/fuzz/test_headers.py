"""Whatever a client says it accepts, it gets a page: the one it asked for if it made itself clear."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exposition import negotiate as module
from exporter.exposition.format import Format
from exporter.exposition.negotiate import accepts_gzip, negotiate
from tests.fuzz.campaign import Campaign, amounts, not_for_one_seed
from tests.fuzz.headers import accept, accept_encoding

LONGEST = 8_000  # characters that are read at all
SLOWEST = 0.05  # seconds for one header


def judge(format: str, encoding: str) -> None:
    """Negotiates; what is raised, or what contradicts the header, is the failure of the input."""
    begin = time.thread_time()
    chosen, gzip = negotiate(format), accepts_gzip(encoding)
    taken = time.thread_time() - begin
    assert taken < SLOWEST, f"took {taken:.3f} s"
    assert chosen is Format.TEXT or "openmetrics" in format.lower(), "OpenMetrics for one who did not ask for it"
    assert not gzip or "gzip" in encoding.lower() or "*" in encoding, "gzip for one who did not ask for it"
    if len(encoding) < LONGEST - 20:
        assert not accepts_gzip(encoding + ", gzip;q=0"), "gzip for one who refuses it"
        if '"' not in encoding:
            assert accepts_gzip(encoding) == accepts_gzip(encoding + ", br;q=0.5, "), "another coding made a difference"


@amounts(3000)
def test_every_header_is_answered(amount: int) -> None:
    """Nothing is raised, nobody gets what was refused, and no header is kept for long."""
    campaign = Campaign("Accept and Accept-Encoding", time.thread_time)
    for seed in campaign.seeds(amount):
        dice = campaign.dice(seed)
        format, encoding = accept(dice), accept_encoding(dice)
        with campaign.trying(seed):
            judge(format, encoding)
    campaign.end()
    kept = module._remembered.cache_info()
    assert kept.currsize <= (kept.maxsize or 0) <= 64


@amounts(150)
def test_every_text_is_answered(amount: int) -> None:
    """As above, with texts that are searched for the shortest one that fails."""
    parts = st.sampled_from(
        ["gzip", "identity", "*", ";", ",", "q=", "0", "1", ".", " ", "application/openmetrics-text"]
    )
    texts = st.text(max_size=30) | st.lists(parts | st.text(max_size=3), max_size=20).map("".join)

    not_for_one_seed()

    @settings(max_examples=min(amount, 5000), database=None, derandomize=True)
    @given(texts, texts)
    def check(format: str, encoding: str) -> None:
        judge(format, encoding)

    check()
