"""Whatever happens to a cluster and in whatever order: once it is well again, its targets are ours.

All pauses are a twentieth of what they are in a daemon, so that a second here is twenty there.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exporter.engine.threads import DaemonPool
from exporter.publishing.findings import Findings
from exporter.publishing.policy import AddressPolicy
from exporter.publishing.refresh import RefreshRules
from exporter.sources.discovery import Discovery
from exporter.sources.kubernetes import Cluster, ClusterOptions, Limits
from tests.fakes.clock import RealClock
from tests.fakes.kubernetes import faults
from tests.fakes.kubernetes.api import KubernetesApi
from tests.fakes.receiver import Background
from tests.faults.process import until
from tests.sources.clusters import LABELS

SPEED = 20.0
PLACES = ("one", "two")
RULES = RefreshRules(interval=20 / SPEED, timeout=1.0, attempts=5, backoff=1 / SPEED, backoff_max=30 / SPEED)
LIMITS = Limits(timeout=1.0, silence=1.0, watch=240 / SPEED, grace=1.0)
FAULTS = {
    "401": faults.refuses(401),
    "403": faults.refuses(403),
    "410": faults.refuses(410),
    "429": faults.refuses(429),
    "429 with a pause": faults.refuses(429, retry_after=3),
    "500": faults.refuses(500),
    "html": faults.says_html(),
    "hangs up": faults.drops,
    "ends at once": faults.ends_at_once,
    "too old": faults.says(faults.GONE),
    "half a line": faults.says(faults.MALFORMED),
}
names = st.sampled_from([f"target-{number}" for number in range(6)])
places = st.sampled_from(PLACES)


class FastClock(RealClock):
    """Twenty seconds in one."""

    def monotonic(self) -> float:
        return super().monotonic() * SPEED


class World(RuleBasedStateMachine):
    """A server, and what finds targets in it, each on a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.api = KubernetesApi()
        self.folder = tempfile.TemporaryDirectory()
        self.findings = Findings()
        self.background = Background()
        # What gives a target and what gives none: (namespace, Secret) to the URL, None for a flaw.
        self.there: dict[tuple[str, str], tuple[str, bool] | None] = {}
        self.failing = False
        for place in PLACES:
            self.api.namespace(place)
        self.task = self._start()

    def _start(self) -> asyncio.Task[None]:
        kubeconfig = self.api.kubeconfig(Path(self.folder.name) / "kubeconfig")
        pool = DaemonPool("files", 1)

        async def begin() -> asyncio.Task[None]:
            cluster = Cluster(
                ClusterOptions(PLACES, kubeconfig=kubeconfig),
                AddressPolicy(),
                FastClock(),
                pool,
                limits=LIMITS,
                sleep=lambda seconds: asyncio.sleep(seconds / SPEED),
            )
            discovery = Discovery(self.findings, RealClock(), pool, lambda names: None)
            discovery.configure([cluster], RULES)
            return asyncio.get_running_loop().create_task(discovery.run())

        return self.background.run(begin())

    # -- what operators do

    @rule(place=places, name=names, path=st.sampled_from("abc"), enabled=st.booleans())
    def put(self, place: str, name: str, path: str, enabled: bool) -> None:
        url = f"https://{path}.example"
        document = {"name": f"{place}-{name}", "type": "webhook", "url": f"{url}/", "enabled": enabled}
        self.api.put(place, name, {"config": json.dumps(document)}, LABELS)
        self.there[place, name] = url, enabled

    @rule(place=places, name=names, text=st.sampled_from(["", "{", "[]", '{"name": 1}']))
    def malform(self, place: str, name: str, text: str) -> None:
        self.api.put(place, name, {"config": text}, LABELS)
        self.there[place, name] = None

    @precondition(lambda self: self.there)
    @rule(data=st.data(), by_label=st.booleans())
    def remove(self, data: st.DataObject, by_label: bool) -> None:
        place, name = data.draw(st.sampled_from(sorted(self.there)))
        if by_label:
            self.api.put(place, name, {"config": "{}"}, {})
        else:
            self.api.delete(place, name)
        del self.there[place, name]

    # -- what happens to the server

    @rule(how=st.sampled_from(["drop_watches", "end_watches", "expire_watches", "forget_history", "bookmark"]))
    def disturb(self, how: str) -> None:
        getattr(self.api, how)()

    @rule(forgets=st.booleans(), place=places, name=names)
    def restart(self, forgets: bool, place: str, name: str) -> None:
        self.api.stop()
        self.put(place, name, "a", True)
        if forgets:
            self.api.forget_history()
        self.api.start()

    @rule(fault=st.sampled_from(sorted(FAULTS)), verbs=st.sampled_from([(), ("watch",), ("list",)]))
    def fail(self, fault: str, verbs: tuple[str, ...]) -> None:
        self.api.fail(FAULTS[fault], *verbs)
        self.api.drop_watches()
        self.failing = True

    @rule()
    def fall_silent(self) -> None:
        self.api.half_open()
        self.failing = True

    # -- what must hold

    @precondition(lambda self: self.failing)
    @rule()
    def endure(self) -> None:
        """A second of the fault, which is twenty of a daemon: as many requests are allowed."""
        began = time.monotonic()
        time.sleep(20 / SPEED)
        asked = [asked for asked in self.api.requests if asked.at >= began]
        assert len(asked) <= 20, [(each.verb, each.namespace, round((each.at - began) * SPEED, 1)) for each in asked]

    @rule()
    def heal(self) -> None:
        """Everything is well: so are the targets, and the watches are back."""
        self.api.heal()
        self.failing = False
        until(self.agreed, 20.0, "the targets are those of the server")
        until(lambda: self.api.watches == len(PLACES) and self.agreed(), 20.0, "all is watched again")

    @invariant()
    def lives(self) -> None:
        assert not self.task.done()

    def agreed(self) -> bool:
        found = {target.source: (target.shown, target.enabled) for target in self.findings.directory.current().values()}
        invalid = {each.document for each in self.findings.merged.invalid}
        expected = {f"{place}/{name}": given for (place, name), given in self.there.items()}
        return found == {place: given for place, given in expected.items() if given is not None} and invalid == {
            place for place, given in expected.items() if given is None
        }

    def teardown(self) -> None:
        try:
            self.heal()
        finally:
            self.background.run(_ended(self.task))
            self.background.close()
            self.api.close()
            self.folder.cleanup()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)  # connections are gone some turns later than whoever had them


def campaign(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
    )


def test_after_anything_the_targets_are_those_of_the_server() -> None:
    run_state_machine_as_test(World, settings=campaign(3, 8))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_anything_and_more_of_it_the_targets_are_those_of_the_server() -> None:
    run_state_machine_as_test(World, settings=campaign(30, 25))
