"""The health collector over real sockets, with time moved by hand."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import pytest

from exporter.collectors.health import Health, Options, build, families
from exporter.collectors.parts import Parts
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Clock, Collector, Run
from exporter.model.errors import NoData
from exporter.model.metric import DISCOVERY_LABELS, Kind, Result
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.health import HealthDetail, TargetHealth
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import ManualClock, RealClock
from tests.fakes.remote import TLS, Remote, Script, answer, drips, hangs, serve, server_tls

CANARY = "c4n4ry"
TICK = 15.0


def target(name: str, url: str, kind: str = "webhook", enabled: bool = True, **headers: str) -> Target:
    secret = {header.replace("_", "-"): Secret(value) for header, value in headers.items()}
    return Target(name=name, type=kind, format=kind, url=Secret(url), enabled=enabled, headers=secret)


@dataclass
class World:
    """The collector with all its parts."""

    health: Health
    targets: TargetDirectory
    clock: Any
    result: Result = field(default_factory=Result)

    async def run(self, *targets: Target, timeout: float = 10.0) -> Result:
        """One run; with targets these take the place of those before."""
        if targets:
            self.targets.replace(targets)
        self.result = await self.health.collect(Run(1, self.clock.monotonic() + timeout, self.clock.wall()))
        return self.result

    async def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.advance(TICK)
            await self.run()

    def series(self, name: str) -> dict[tuple[str, ...], tuple[float, ...]]:
        """Label values with numbers of one family of the last result."""
        found = [samples for samples in self.result.samples if samples.family.name == f"publishing_{name}"]
        return dict(found[0].rows()) if found else {}

    def value(self, name: str, *labels: str) -> float | None:
        return self.series(name).get(labels, (None,))[0]

    def detail(self, name: str) -> TargetHealth:
        assert isinstance(self.result.detail, HealthDetail)
        return {shown.name: shown for shown in self.result.detail.targets}[name]

    def state(self, name: str) -> str:
        return self.detail(name).state.value

    def errors(self, name: str) -> dict[str, float]:
        """How often each reason was counted, if at all."""
        rows = self.series("health_check_errors_total")
        return {reason: number for (owner, reason), (number,) in rows.items() if owner == name and number}


@asynccontextmanager
async def world(clock: Clock | None = None, **options: Any) -> AsyncIterator[World]:
    clock = clock or ManualClock()
    prober = Prober(DaemonPool("dns", 2), AddressPolicy(), clock, TlsOptions(ca_file=TLS / "ca.pem"))
    directory = TargetDirectory()
    parts = Parts(clock=clock, prefix="publishing", tick=TICK, targets=directory, prober=prober)
    tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    try:
        yield World(build(Options(**options), parts), directory, clock)
    finally:
        await prober.close()
        async with asyncio.timeout(5):  # or something keeps running, or a socket stays open
            while len(asyncio.all_tasks()) > tasks or len(os.listdir("/proc/self/fd")) > descriptors:
                await asyncio.sleep(0.01)


class Sequence:
    """Gives one answer after the other, the last for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        await writer.drain()


def slow(clock: ManualClock, seconds: float) -> Script:
    """Answers well, after this time by the clock of the test."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock.advance(seconds)
        writer.write(answer(200))

    return script


async def test_every_family_of_the_contract_is_declared_and_legal() -> None:
    shown = {family.name: (family.kind, family.labels) for family in families("alerts")}
    assert shown == {
        "alerts_health_status": (Kind.GAUGE, ("target", "type")),
        "alerts_consecutive_failures": (Kind.GAUGE, ("target",)),
        "alerts_success_rate": (Kind.GAUGE, ("target",)),
        "alerts_health_checks_total": (Kind.COUNTER, ("target", "outcome")),
        "alerts_health_check_errors_total": (Kind.COUNTER, ("target", "reason")),
        "alerts_health_check_duration_seconds": (Kind.HISTOGRAM, ("target",)),
        "alerts_target_tls_expiry_timestamp_seconds": (Kind.GAUGE, ("target",)),
    }
    for family in families("alerts"):
        assert not family.complaints()
        assert not DISCOVERY_LABELS & set(family.labels)
    histogram = next(family for family in families("a") if family.kind is Kind.HISTOGRAM)
    assert (len(histogram.bounds), histogram.bounds[0], histogram.bounds[-1]) == (8, 0.005, 10.0)


async def test_the_collector_is_one_and_its_defaults_are_those_of_the_contract() -> None:
    async with world() as seen:
        assert isinstance(seen.health, Collector)
        assert (seen.health.name, seen.health.every_tick) == ("health", True)
    options = Options()
    assert (options.interval, options.timeout, options.probe_timeout, options.concurrency) == (60.0, 10.0, 5.0, 200)
    assert (options.unhealthy_after, options.degraded_latency, options.window) == (3, 1.0, 3600.0)
    assert options.tls.options() == TlsOptions()
    assert options.probe == {}


async def test_without_targets_there_is_no_data() -> None:
    async with world() as seen:
        with pytest.raises(NoData):
            await seen.run()


async def test_a_healthy_target_has_all_its_series() -> None:
    async with serve(answer(200), tls=server_tls()) as remote, world() as seen:
        await seen.run(target("ops", remote.url()))
        assert seen.value("health_status", "ops", "webhook") == 1
        assert seen.value("consecutive_failures", "ops") == 0
        assert seen.value("success_rate", "ops") == 100
        assert seen.series("health_checks_total") == {("ops", "success"): (1,), ("ops", "failure"): (0,)}
        assert seen.value("target_tls_expiry_timestamp_seconds", "ops") == 4733510400.0
        assert sum(seen.series("health_check_duration_seconds")["ops",][:-1]) == 1
        reasons = {reason for _, reason in seen.series("health_check_errors_total")}
        closed = "timeout connect dns tls auth http_status rate_limited redirect decode limit config internal"
        assert " ".join(sorted(reasons)) == " ".join(sorted(closed.split(" "))), "closed reasons start at 0"
        assert seen.errors("ops") == {}
        declared = set(seen.health.families)
        assert all(samples.family in declared for samples in seen.result.samples)


@pytest.mark.parametrize("kind", ["rootly", "pagerduty", "slack", "webhook"])
async def test_w_h1_a_write_only_endpoint_is_healthy_without_an_alert_or_a_credential(kind: str) -> None:
    async with serve(Sequence(answer(405), answer(400))) as remote, world() as seen:
        await seen.run(target("ops", remote.url(f"/{CANARY}"), kind, Authorization=f"Bearer {CANARY}"))
        await seen.tick(4)
        assert seen.value("health_status", "ops", kind) == 1
        assert seen.detail("ops").checks >= 2
        assert not any("Authorization" in head for head in remote.heads)


async def test_w_h1_a_revoked_webhook_is_noticed() -> None:
    async with serve(answer(404)) as remote, world() as seen:
        await seen.run(target("gone", remote.url(), "slack"), target("fine", remote.url(), "webhook"))
        assert (seen.state("gone"), seen.state("fine")) == ("degraded", "healthy")
        assert seen.errors("gone") == {"http_status": 1}
        assert seen.series("health_checks_total")["gone", "success"] == (1,), "it was reached"


async def test_w_h2_a_slow_answer_is_degraded_well_before_it_is_too_late() -> None:
    clock = ManualClock()
    async with serve(slow(clock, 1.5)) as remote, world(clock) as seen:
        await seen.run(target("ops", remote.url()))
        assert seen.state("ops") == "degraded"
        assert seen.detail("ops").latency == 1.5
        assert seen.detail("ops").consecutive_failures == 0


async def test_w_h3_type_and_enabled_are_right_from_the_first_result_on() -> None:
    async with serve(answer(200)) as remote, world() as seen:
        await seen.run(target("on", remote.url(), "rootly"), target("off", remote.url(), "slack", enabled=False))
        assert seen.series("health_status") == {("on", "rootly"): (1,)}
        assert [(shown.name, shown.type, shown.enabled) for shown in (seen.detail("on"), seen.detail("off"))] == [
            ("on", "rootly", True),
            ("off", "slack", False),
        ]


async def test_w_h4_results_count_as_they_come_and_not_when_the_slowest_is_through() -> None:
    async with serve(hangs) as hung, serve(answer(200)) as fine, world() as seen:
        seen.targets.replace([target("hung", hung.url()), target("fine", fine.url())])
        run = asyncio.ensure_future(seen.run())
        while "fine" not in [name for name, state in seen.health._states.items() if state.last]:
            await asyncio.sleep(0.01)
        assert not run.done()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_w_h5_a_probe_can_be_cancelled_and_an_ipv6_address_without_port_works() -> None:
    async with serve(hangs) as remote, world() as seen:
        seen.targets.replace([target("hung", remote.url()), target("six", "http://[::1]/")])
        run = asyncio.ensure_future(seen.run())
        while not remote.open:
            await asyncio.sleep(0.01)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await seen.run(target("six", "http://[::1]/"))
        assert seen.errors("six") == {"connect": 1}
        assert seen.detail("six").shown == "http://[::1]"


async def test_w_h6_the_success_rate_forgets_what_is_outside_the_window() -> None:
    async with serve(Sequence(*[answer(200)] * 5, answer(500))) as remote, world(window=300.0) as seen:
        await seen.run(target("ops", remote.url()))
        while seen.detail("ops").checks < 5:
            await seen.tick()
        assert seen.value("success_rate", "ops") == 100
        while seen.detail("ops").checks < 12:
            await seen.tick()
        assert seen.value("success_rate", "ops") == 0
        assert seen.detail("ops").successes == 5


@pytest.mark.parametrize("interval", [60.0, 7200.0])
async def test_w_h7_a_target_is_unknown_only_after_three_of_its_own_intervals(interval: float) -> None:
    async with serve(answer(200)) as remote, world(interval=interval) as seen:
        await seen.run(target("ops", remote.url()))
        seen.clock.advance(3 * interval - 1)
        assert seen.health._states["ops"].state(seen.clock.monotonic()).value == "healthy"
        seen.clock.advance(2)
        assert seen.health._states["ops"].state(seen.clock.monotonic()).value == "unknown"


async def test_w_h8_no_output_quotes_a_url_or_a_header() -> None:
    secret = [
        target("refused", f"http://127.0.0.1:1/{CANARY}?{CANARY}", X_Api_Key=CANARY),
        target("userinfo", f"http://u:{CANARY}@127.0.0.1:1/", Authorization=CANARY),
        target("broken", f"https://127.0.0.1:1/{CANARY}#{CANARY}"),
    ]
    async with world(probe={"webhook": {"send_headers": True}}) as seen:
        await seen.run(*secret)
        assert all(seen.value("health_status", one.name, "webhook") == 2 for one in secret)
        assert CANARY not in repr(seen.result)
        assert CANARY not in repr(secret)


async def test_w_h9_a_result_does_not_change_after_it_was_given() -> None:
    async with serve(Sequence(answer(200), answer(500))) as remote, world() as seen:
        before = await seen.run(target("ops", remote.url()))
        text = repr(before)
        await seen.tick(8)
        assert seen.detail("ops").failures
        assert repr(before) == text


async def test_w_m8_what_is_removed_or_switched_off_has_no_series_and_starts_anew() -> None:
    async with serve(answer(500)) as remote, world() as seen:
        one, two = target("one", remote.url()), target("two", remote.url())
        await seen.run(one, two)
        await seen.run(one, target("two", remote.url(), enabled=False))
        for samples in seen.result.samples:
            assert "two" not in {key[0] for key in samples.keys}, samples.family.name
        assert (seen.state("two"), seen.detail("two").enabled) == ("unknown", False)
        await seen.run(two)
        assert "one" not in repr(seen.result.samples)
        assert seen.series("health_checks_total") == {("two", "success"): (0,), ("two", "failure"): (1,)}
        seen.targets.replace([])
        with pytest.raises(NoData):
            await seen.run()
        assert not seen.health._states


async def test_a_target_that_is_no_longer_what_it_was_starts_anew() -> None:
    async with serve(answer(500)) as bad, serve(answer(200)) as good, world() as seen:
        await seen.run(target("ops", bad.url()))
        await seen.run(target("ops", good.url()))
        assert seen.series("health_checks_total") == {("ops", "success"): (1,), ("ops", "failure"): (0,)}
        assert seen.value("success_rate", "ops") == 100


async def test_only_switched_off_targets_give_detail_without_samples() -> None:
    async with world() as seen:
        await seen.run(target("off", "http://127.0.0.1:1/", enabled=False))
        assert all(not samples.keys for samples in seen.result.samples)
        assert seen.state("off") == "unknown"


async def test_w_m11_gauges_are_computed_from_the_state_at_each_run() -> None:
    async with serve(Sequence(*[answer(500)] * 4, answer(200))) as remote, world() as seen:
        await seen.run(target("ops", remote.url()))
        streaks = [seen.value("consecutive_failures", "ops")]
        while streaks[-1] != 0:
            await seen.tick()
            streaks.append(seen.value("consecutive_failures", "ops"))
        assert set(streaks) == {0, 1, 2, 3, 4}


async def test_w_m12_before_the_first_probe_there_are_zeros_and_no_made_up_values() -> None:
    async with serve(hangs) as remote, world() as seen:
        await seen.run(target("ops", remote.url()), timeout=0)
        assert seen.value("health_status", "ops", "webhook") == 0
        assert seen.value("health_checks_total", "ops", "success") == 0
        for name in ("success_rate", "consecutive_failures", "health_check_duration_seconds",
                     "target_tls_expiry_timestamp_seconds"):  # fmt: skip
            assert seen.series(name) == {}, name
        assert not remote.connections


async def test_failures_make_a_target_degraded_then_unhealthy_and_one_success_heals_it() -> None:
    async with serve(Sequence(*[answer(503)] * 4, answer(200))) as remote, world() as seen:
        await seen.run(target("ops", remote.url()))
        states = {seen.detail("ops").checks: seen.state("ops")}
        for _ in range(20):
            await seen.tick()
            states.setdefault(seen.detail("ops").checks, seen.state("ops"))
        assert [states[number] for number in range(1, 6)] == [
            "degraded", "degraded", "unhealthy", "unhealthy", "healthy"
        ]  # fmt: skip


async def test_a_target_that_asks_for_a_pause_gets_it() -> None:
    async with serve(Sequence(answer(429, "Retry-After: 600"), answer(200))) as remote, world() as seen:
        await seen.run(target("ops", remote.url()))
        assert (seen.state("ops"), seen.errors("ops")) == ("degraded", {"rate_limited": 1})
        await seen.tick(39)
        assert remote.connections == 1
        assert seen.state("ops") == "degraded"
        assert seen.detail("ops").retry_at == seen.clock.wall() + TICK
        await seen.tick(2)
        assert (remote.connections, seen.state("ops")) == (2, "healthy")


async def test_targets_are_spread_over_their_interval_after_the_first_run() -> None:
    async with serve(answer(200)) as remote, world() as seen:
        await seen.run(*[target(f"t{number}", remote.url()) for number in range(100)])
        assert remote.connections == 100
        for _ in range(2):
            per_tick = []
            for _ in range(4):
                before = remote.connections
                await seen.tick()
                per_tick.append(remote.connections - before)
            assert sum(per_tick) == 100
            assert all(10 <= number <= 40 for number in per_tick), per_tick
        assert all(seen.detail(f"t{number}").checks == 3 for number in range(100))


async def test_a_slow_answer_does_not_make_a_target_miss_its_next_slot() -> None:
    clock = ManualClock()
    name = next(name for name in map(str, range(100)) if crc32(name.encode()) % 4 == 1)
    async with serve(slow(clock, 9.0)) as remote, world(clock) as seen:
        await seen.run(target(name, remote.url()))
        clock.advance(TICK - 9.0)
        await seen.run()
        assert seen.detail(name).checks == 2


async def test_a_new_target_is_probed_at_once_and_the_others_keep_their_slots() -> None:
    async with serve(answer(200)) as old, serve(answer(200)) as new, world() as seen:
        await seen.run(target("a", old.url()))
        await seen.run(target("a", old.url()), target("b", new.url()))
        assert (old.connections, new.connections) == (1, 1)


async def test_the_number_of_probes_at_once_is_bounded() -> None:
    async def lingers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(answer(200))

    async with serve(lingers) as remote, world(concurrency=7) as seen:
        await seen.run(*[target(f"t{number}", remote.url()) for number in range(50)])
        assert remote.most_open <= 7
        assert remote.connections == 50


async def test_settings_of_a_type_count_for_that_type() -> None:
    settings = {"slack": {"method": "HEAD", "reachable": (401,), "send_headers": True}}
    async with serve(answer(401)) as remote, world(probe=settings) as seen:
        await seen.run(
            target("mine", remote.url(), "slack", X_Api_Key="k"), target("other", remote.url(), "rootly", X_Api_Key="k")
        )
        assert (seen.state("mine"), seen.state("other")) == ("healthy", "degraded")
        assert seen.errors("other") == {"auth": 1}
        head = {head.split()[0]: head for head in remote.heads}
        assert "X-Api-Key: k" in head["HEAD"]
        assert "X-Api-Key" not in head["GET"]


async def test_a_probe_that_breaks_unexpectedly_costs_only_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Prober.probe

    async def breaks(self: Prober, target: Target, *rest: Any) -> Any:
        if target.name == "bad":
            raise ZeroDivisionError(CANARY)
        return await real(self, target, *rest)

    monkeypatch.setattr(Prober, "probe", breaks)
    async with serve(answer(200)) as remote, world() as seen:
        await seen.run(target("bad", remote.url()), target("good", remote.url()))
        assert (seen.state("bad"), seen.state("good")) == ("degraded", "healthy")
        assert seen.errors("bad") == {"internal": 1}


async def test_a_run_that_is_cancelled_keeps_what_has_ended_and_takes_up_the_rest_first() -> None:
    async with serve(answer(200)) as fine, serve(hangs) as hung, world(concurrency=2) as seen:
        names = ["fine", "hung1", "hung2", "last"]
        seen.targets.replace([target(name, hung.url() if "hung" in name else fine.url()) for name in names])
        run = asyncio.ensure_future(seen.run())
        while hung.open < 2:
            await asyncio.sleep(0.01)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        while hung.open:
            await asyncio.sleep(0.01)
        checks = {name: state.checks for name, state in seen.health._states.items()}
        assert checks == {"fine": 1, "hung1": 0, "hung2": 0, "last": 0}
        seen.clock.advance(60)
        due = [state.target.name for state in seen.health._pick(seen.clock.monotonic())]
        assert due == ["hung1", "hung2", "last", "fine"]


async def hanging_world(stack: AsyncExitStack, count: int, **options: Any) -> tuple[World, list[Target], Remote]:
    """Targets of which all hang or drip but two, which stand first and last."""
    hung, dripping = await stack.enter_async_context(serve(hangs)), await stack.enter_async_context(serve(drips))
    fine = await stack.enter_async_context(serve(answer(200)))
    seen = await stack.enter_async_context(world(RealClock(), **options))
    bad = [target(f"t{n:03}", (hung if n % 2 else dripping).url()) for n in range(count - 2)]
    return seen, [target("first", fine.url()), *bad, target("last", fine.url())], hung


@pytest.mark.parametrize(("concurrency", "timeout"), [(200, 2.0), (40, 4.0)])
async def test_up16_of_two_hundred_targets_198_hang_and_all_are_probed_in_time(
    concurrency: int, timeout: float
) -> None:
    async with AsyncExitStack() as stack:
        seen, targets, hung = await hanging_world(stack, 200, concurrency=concurrency)
        begin = time.monotonic()
        await seen.run(*targets, timeout=timeout)
        assert time.monotonic() - begin < timeout + 0.5
        assert (seen.state("first"), seen.state("last")) == ("healthy", "healthy")
        assert all(seen.detail(one.name).checks == 1 for one in targets)
        assert seen.errors("t050") == {"timeout": 1}
        assert hung.most_open <= concurrency


async def test_up2_a_probe_ends_at_its_own_limit_when_the_run_has_time_left() -> None:
    async with AsyncExitStack() as stack:
        seen, targets, _ = await hanging_world(stack, 4, probe_timeout=0.2)
        begin = time.monotonic()
        await seen.run(*targets)
        assert 0.15 < time.monotonic() - begin < 1.0


class Gate:
    """Answers once it is opened; tells when somebody waits."""

    def __init__(self) -> None:
        self.asked, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.opened.wait()
        writer.write(answer(200))


async def test_a_check_probes_now_and_its_result_counts_like_any_other() -> None:
    async with serve(Sequence(answer(503), answer(200))) as remote, world() as seen:
        await seen.run(target("ops", remote.url()))
        checked = await seen.health.check("ops")
        assert checked is not None
        assert (checked.state, checked.checks, checked.successes) == ("healthy", 2, 1)
        await seen.run()
        assert remote.connections == 2
        assert seen.detail("ops") == checked
        assert seen.value("health_checks_total", "ops", "success") == 1


async def test_a_check_of_what_is_not_there_or_switched_off_gives_nothing() -> None:
    async with serve(answer(200)) as remote, world() as seen:
        seen.targets.replace([target("ops", remote.url()), target("off", remote.url(), enabled=False)])
        assert await seen.health.check("nobody") is None
        assert await seen.health.check("off") is None
        assert remote.connections == 0
        assert await seen.health.check("ops") is not None, "also before the first run"


async def test_checks_at_once_share_one_probe_and_whoever_leaves_costs_the_others_nothing() -> None:
    gate = Gate()
    async with serve(gate) as remote, world() as seen:
        seen.targets.replace([target("ops", remote.url())])
        first, second = (asyncio.ensure_future(seen.health.check("ops")) for _ in range(2))
        await gate.asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.opened.set()
        checked = await second
        assert checked is not None
        assert (checked.checks, remote.connections) == (1, 1)


async def test_a_check_joins_the_probe_of_a_run_and_a_run_that_of_a_check() -> None:
    gate = Gate()
    async with serve(gate) as remote, world() as seen:
        run = asyncio.ensure_future(seen.run(target("ops", remote.url())))
        await gate.asked.wait()
        check = asyncio.ensure_future(seen.health.check("ops"))
        await asyncio.sleep(0)
        gate.opened.set()
        await run
        checked = await check
        assert checked is not None
        assert (checked.checks, remote.connections) == (1, 1)

        gate.asked.clear()
        gate.opened.clear()
        check = asyncio.ensure_future(seen.health.check("ops"))
        await gate.asked.wait()
        seen.clock.advance(60)
        run = asyncio.ensure_future(seen.run())
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(run, check)
        assert (seen.detail("ops").checks, remote.connections) == (2, 2)


async def test_a_run_waits_for_a_check_no_longer_than_for_a_probe_of_its_own() -> None:
    async with serve(hangs) as remote, world(RealClock(), probe_timeout=1.0) as seen:
        seen.targets.replace([target("ops", remote.url())])
        check = asyncio.ensure_future(seen.health.check("ops"))
        while not remote.open:
            await asyncio.sleep(0.01)
        begin = time.monotonic()
        await seen.run(timeout=0.2)
        assert time.monotonic() - begin < 0.5
        assert seen.detail("ops").checks == 0
        checked = await check
        assert checked is not None
        assert (checked.last_reason, checked.checks) == ("timeout", 1)
        assert time.monotonic() - begin < 2.0


async def test_a_check_that_joined_a_run_which_is_cut_off_probes_by_itself() -> None:
    gate = Gate()
    async with serve(gate) as remote, world() as seen:
        run = asyncio.ensure_future(seen.run(target("ops", remote.url())))
        await gate.asked.wait()
        check = asyncio.ensure_future(seen.health.check("ops"))
        await asyncio.sleep(0)
        run.cancel()
        gate.opened.set()
        checked = await check
        assert checked is not None
        assert (checked.checks, remote.connections) == (1, 2)


async def test_a_run_tells_of_the_targets_there_are_at_its_end() -> None:
    gate = Gate()
    async with serve(gate) as remote, world() as seen:
        run = asyncio.ensure_future(seen.run(target("gone", remote.url()), target("stays", remote.url())))
        while remote.open < 2:
            await asyncio.sleep(0.01)
        seen.targets.replace([target("stays", remote.url()), target("new", remote.url())])
        gate.opened.set()
        await run
        assert (seen.state("stays"), seen.state("new")) == ("healthy", "unknown")
        assert {key[0] for samples in seen.result.samples for key, _ in samples.rows()} == {"stays", "new"}


async def test_a_target_that_goes_while_it_is_probed_leaves_nothing_behind() -> None:
    gate = Gate()
    async with serve(gate) as remote, world() as seen:
        run = asyncio.ensure_future(seen.run(target("gone", remote.url()), target("stays", remote.url())))
        while remote.open < 2:
            await asyncio.sleep(0.01)
        check = asyncio.ensure_future(seen.health.check("gone"))
        await asyncio.sleep(0)
        seen.targets.replace([target("stays", remote.url())])
        assert await seen.health.check("gone") is None
        gate.opened.set()
        assert await check is None
        await run
        assert {key[0] for samples in seen.result.samples for key, _ in samples.rows()} == {"stays"}
        assert list(seen.health._due) == ["stays"]


def test_options_that_make_no_sense_are_refused() -> None:
    bad: list[Mapping[str, Any]] = [
        {"concurrency": 0},
        {"unhealthy_after": 0},
        {"probe": {"telegraph": {}}},
        {"probe": {"slack": {"method": "DELETE"}}},
        {"probe": {"slack": {"reachable": (500,)}}},
        {"tls": {"key_file": TLS / "server.pem"}},
        {"tls": {"insecure_skip_verify": True}},
        {"more": 1},
    ]
    for options in bad:
        with pytest.raises(ValueError):
            Options(**options)
    good = Options.model_validate_json('{"probe": {"slack": {"reachable": [404]}}, "tls": {"ca_file": "/a"}}')
    assert good.policy("slack").reachable == {404}
    assert str(good.tls.options().ca_file) == "/a"
