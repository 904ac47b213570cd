"""Whatever stands in a configuration file: it is read, or what is wrong with it is told, soon and without a secret."""

from __future__ import annotations

import re
import time
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors.health import Options
from exporter.config.files import Unreadable, decode
from exporter.config.loader import ConfigError, parse
from exporter.config.problems import MOST_PROBLEMS
from tests.fuzz.campaign import Campaign, amounts, not_for_one_seed
from tests.fuzz.configurations import CANARY, ENVIRONMENT, text

PER_BYTE = 0.1 / 10_000  # seconds
SMALLEST = 10_000  # bytes: aliases and variables may stand for more than is written, up to limits of their own


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files to name."""
    folder = tmp_path_factory.mktemp("configuration")
    contents = {"secret": CANARY.encode(), "pem": b"-----", "empty": b"", "latin": b"\xe9", "large": bytes(100_000)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def judge(source: str, folder: Path) -> None:
    """Reads it; anything but a configuration or a bounded, secretless list of problems is raised."""
    try:
        loaded = parse(source, "c.yaml", folder, {"health": Options}, ENVIRONMENT)
    except ConfigError as error:
        told_well(error, source)
        return
    for target in loaded.config.targets.static:
        assert CANARY not in f"{target.url} {target.headers}", "a secret is shown"


def told_well(refusal: ConfigError, source: str) -> None:
    """Some problems but not too many, each on a line that exists, and none with a secret in it."""
    said = str(refusal)
    assert 0 < len(refusal.problems) <= MOST_PROBLEMS + 1, f"{len(refusal.problems)} problems are told"
    assert CANARY[:10] not in said, "a secret is told"
    assert max(map(len, said.encode().split(b"\n"))) < 1000, "a line is too long"
    lines = len(re.findall("[\n\r\x85\u2028\u2029]", source)) + 2
    assert all(0 <= (problem.line or 0) <= lines for problem in refusal.problems), "a line that does not exist"


def in_time(source: str, folder: Path, budget: float) -> None:
    """Reads it, and once more if that took long: others may have needed the machine, or memory been tidied up."""
    taken = budget
    for _ in range(3):
        begin = time.thread_time()
        judge(source, folder)
        taken = time.thread_time() - begin
        if taken < budget:
            return
    raise AssertionError(f"{len(source)} characters took {taken:.3f} s")


@amounts(2000)
def test_every_text_is_read_or_refused(amount: int, folder: Path) -> None:
    """Nothing but ConfigError comes out, within 100 ms for 10 kB, and no memory stays behind."""
    campaign = Campaign("configuration", time.thread_time)
    for seed in campaign.seeds(amount):
        if seed == amount // 3:
            campaign.warm()
        source = text(campaign.dice(seed))
        with campaign.trying(seed):
            in_time(source, folder, PER_BYTE * max(SMALLEST, len(source.encode())))
    campaign.end()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["cycle", "targets", "collectors", "plugins", "limits", "web", "log", "metric_prefix", "x"])
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4).map(lambda document: yaml.safe_dump(document, allow_unicode=True))
SOURCES = DOCUMENTS | st.text(max_size=60) | st.text(alphabet="-?:,[]{}#&*!|>'\"%@`\n ab$1.", max_size=60)


@amounts(100)
def test_every_document_is_read_or_refused(amount: int, folder: Path) -> None:
    """As above, with documents and texts that are searched for the smallest one that fails."""
    not_for_one_seed()

    @settings(max_examples=min(amount, 5000), database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(SOURCES)
    def check(source: str) -> None:
        judge(source, folder)

    check()


@amounts(2000)
def test_every_run_of_bytes_is_text_or_is_not(amount: int, folder: Path) -> None:
    """Bytes that are no text are refused as such, and what is text is judged as one."""
    campaign = Campaign("configuration bytes", time.thread_time)
    for seed in campaign.seeds(amount):
        dice: Random = campaign.dice(seed)
        content = dice.randbytes(dice.randrange(200)) if dice.random() < 0.5 else text(dice).encode()[:400]
        with campaign.trying(seed):
            try:
                source = decode(content + dice.choice((b"", b"\xff", b"\xc3", b"\xed\xa0\x80")))
            except Unreadable:
                continue
            judge(source, folder)
    campaign.end()
