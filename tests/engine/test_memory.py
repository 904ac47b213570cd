"""Limits the system sets, and who has to wait when memory runs short."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path

import pytest

from exporter.engine.cycle import Cycle
from exporter.engine.memory import BIG, Ceiling, Memory, Usage, ceiling
from exporter.engine.threads import DaemonPool
from exporter.instruments.meter import Meter
from exporter.model.collector import Run
from exporter.model.metric import Result
from exporter.model.snapshot import Snapshot
from tests.engine.build import Blocking, Doing, LoopClock, outcome, own, plan, things

MIB = 1 << 20
GIB = 1 << 30
HARD = 100 * MIB


def machine(root: Path, groups: str, **files: str) -> Path:
    """A file system with these control groups; in the names `__` stands for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_high", ".high")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory_max": "1073741824\n"}, GIB),
        ("0::/\n", {"memory_max": "max\n"}, None),
        ("0::/a/b\n", {"a__b__memory_max": "max\n", "a__memory_max": f"{2 * GIB}\n"}, 2 * GIB),
        ("0::/a\n", {"a__memory_max": f"{2 * GIB}\n", "a__memory_high": f"{GIB}\n"}, GIB),
        ("0::/../elsewhere\n", {"memory_max": f"{GIB}\n"}, GIB),
        ("1:cpu:/x\n", {"x__memory_max": f"{GIB}\n"}, None),
        ("", {}, None),
    ],
)
def test_the_lowest_limit_of_the_control_groups_counts(
    groups: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    found = ceiling(machine(tmp_path, groups, **files))
    assert found == (None if expected is None else Ceiling(expected, False))


@pytest.mark.parametrize(("text", "expected"), [(str(GIB), GIB), ("9223372036854771712", None)])
def test_older_control_groups_write_a_huge_number_for_none(text: str, expected: int | None, tmp_path: Path) -> None:
    root = machine(tmp_path, "4:cpu,memory:/docker/1\n")
    (root / "sys/fs/cgroup/memory").mkdir(parents=True)
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text(text)
    assert ceiling(root) == (None if expected is None else Ceiling(expected, False))


def test_the_limit_of_the_address_space_counts_too(tmp_path: Path) -> None:
    kept = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (64 * GIB, kept[1]))
    try:
        assert ceiling(tmp_path) == Ceiling(64 * GIB, True)
        meter = Meter()
        Memory.of_this_process(meter)
        assert {column.family.name: column.values for column in meter.capture()}["memory_soft_limit_bytes"] == (
            int(64 * GIB * 0.8),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)


def test_usage_is_read_without_a_new_descriptor() -> None:
    resident, virtual = Usage(False), Usage(True)
    before = os.listdir("/proc/self/fd")
    assert MIB < resident() < virtual()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_system_that_does_not_tell_has_no_soft_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.engine.memory.ceiling", lambda: Ceiling(GIB, False))

    def refuse(virtual: bool) -> Usage:
        raise FileNotFoundError

    monkeypatch.setattr("exporter.engine.memory.Usage", refuse)
    memory = Memory.of_this_process(Meter())
    memory.review(dict)
    assert not memory.short


class Machine:
    """A process whose memory is what the test says, with collectors in a cycle."""

    def __init__(self, *collectors: Doing) -> None:
        self.used = 10 * MIB
        self.meter = Meter("platform_exporter_")
        self.memory = Memory(self.meter, HARD, lambda: self.used)
        self.pool = DaemonPool("calls", 4)
        self.cycle = Cycle(LoopClock(), self.meter, self.pool, lambda: 0, self.memory)
        self.cycle.configure(plan(*collectors))

    async def run(self) -> Snapshot:
        return await self.cycle.run(self.cycle.names())

    def grow(self, name: str, amount: int, blocking: bool = False) -> Doing:
        def act(run: Run) -> Result:
            self.used += amount
            return things(name)

        return (Blocking if blocking else Doing)(name, act)


def finding(name: str, number: int) -> Doing:
    """Has this many series."""
    found = things(*(f"{name}-{at}" for at in range(number)))
    return Doing(name, lambda run: found)


async def test_PROC6_the_greatest_wait_one_after_the_other_and_come_back() -> None:
    names = {"small": BIG - 1, "bigger": BIG + 1, "big": BIG}
    machine = Machine(*(finding(name, number) for name, number in names.items()))
    await machine.run()
    machine.used = 80 * MIB
    first = await machine.run()
    assert outcome(first, "bigger") == ("error", "limit")
    assert "bigger" not in first.samples or not first.samples["bigger"]
    assert outcome(first, "big") == ("ok", None)
    assert own(first, "memory_short") == (1.0,)
    second, third = await machine.run(), await machine.run()
    for snapshot in (second, third):
        assert [outcome(snapshot, name)[0] for name in names] == ["ok", "error", "error"]
    machine.used = 78 * MIB  # below, but hardly
    snapshot = await machine.run()
    assert [outcome(snapshot, name)[0] for name in names] == ["ok", "error", "error"]
    machine.used = 70 * MIB
    snapshot = await machine.run()
    assert [outcome(snapshot, name)[0] for name in names] == ["ok", "error", "ok"]
    last = await machine.run()
    assert [outcome(last, name)[0] for name in names] == ["ok", "ok", "ok"]
    assert own(last, "memory_short") == (0.0,)


async def test_PROC6_it_is_said_once_and_once_more_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(finding("small", 1))
    with caplog.at_level(logging.INFO, "exporter.memory"):
        for used in (10, 85, 90, 85, 70, 70):
            machine.used = used * MIB
            await machine.run()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].fields == {"used_mib": 85, "soft_limit_mib": 80}  # type: ignore[attr-defined]


@pytest.mark.parametrize("blocking", [False, True])
async def test_COL16_who_grew_most_is_named_and_waits(blocking: bool, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    leaking = machine.grow("leaking", 10 * MIB, blocking)
    machine.cycle.configure(plan(finding("big", BIG), leaking, machine.grow("steady", 0)))
    with caplog.at_level(logging.WARNING, "exporter.memory"):
        for _ in range(12):
            snapshot = await machine.run()
    (warning,) = [record for record in caplog.records if record.name == "exporter.memory"]
    assert warning.fields["grown_most"] == "leaking"  # type: ignore[attr-defined]
    assert outcome(snapshot, "leaking") == ("error", "limit")
    assert outcome(snapshot, "steady") == ("ok", None)
    assert machine.used <= 90 * MIB


async def test_COL16_nobody_is_named_when_it_cannot_be_known(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.cycle.configure(plan(machine.grow("one", 5 * MIB), machine.grow("two", 5 * MIB)))
    with caplog.at_level(logging.WARNING, "exporter.memory"):
        for _ in range(12):
            snapshot = await machine.run()
    assert "grown_most" not in caplog.records[0].fields  # type: ignore[attr-defined]
    assert outcome(snapshot, "one") == outcome(snapshot, "two") == ("ok", None)


async def test_collectors_that_are_gone_are_forgotten() -> None:
    machine = Machine(finding("big", BIG))
    await machine.run()
    machine.used = 90 * MIB
    await machine.run()
    assert machine.memory.refuses("big")
    machine.cycle.configure(plan(finding("other", 1)))
    assert not machine.memory.refuses("big")
