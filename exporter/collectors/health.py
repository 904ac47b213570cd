"""Probes every publishing target and tells whether alerts can reach it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from math import isnan
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from exporter.collectors.parts import Parts
from exporter.config.schema import ClientTls, CollectorOptions, Section
from exporter.config.types import Duration
from exporter.instruments.meter import Meter
from exporter.model.collector import Run
from exporter.model.errors import Failure, NoData
from exporter.model.metric import Family, Key, Result, Samples, Value
from exporter.model.reason import Reason
from exporter.model.target import Target
from exporter.publishing.document import TYPES
from exporter.publishing.health import HealthDetail, HealthRules, Moment, Observation, TargetHealth, TargetState
from exporter.publishing.integrations import ENDPOINTS
from exporter.publishing.slots import Slots
from exporter.publishing.verdict import Finding, ProbePolicy, Verdict, judge
from exporter.sources.tls import TlsOptions

# Those of documents, and those of Alertmanager's integrations.
KNOWN_TYPES = tuple(dict.fromkeys((*TYPES, *sorted(ENDPOINTS))))


class Tls(ClientTls):
    """How targets are verified, and what the daemon shows them."""

    def options(self) -> TlsOptions:
        """The same for the source that uses it."""
        return TlsOptions(
            ca_file=self.ca_file, server_name=self.server_name, cert_file=self.cert_file, key_file=self.key_file
        )


class Probe(Section):
    """How targets of one type are asked; `reachable` replaces the set of 4xx answers that are fine."""

    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = "GET"
    reachable: tuple[Annotated[int, Field(ge=400, le=499)], ...] | None = None
    send_headers: bool = False


def _known_type(kind: str) -> str:
    if kind not in KNOWN_TYPES:
        close = get_close_matches(kind[:64], KNOWN_TYPES, n=1)
        raise ValueError("no such type of target" + (f"; did you mean '{close[0]}'?" if close else ""))
    return kind


KnownType = Annotated[str, AfterValidator(_known_type)]


class Options(CollectorOptions):
    """What may be set under `collectors.health`; `interval` counts per target."""

    interval: Duration | None = 60.0
    timeout: Duration | None = 10.0
    probe_timeout: Duration = 5.0
    concurrency: int = Field(default=200, ge=1, le=10_000)
    unhealthy_after: int = Field(default=3, ge=1)
    degraded_latency: Duration = 1.0
    window: Duration = 3600.0
    tls: Tls = Tls()
    probe: dict[KnownType, Probe] = Field(default_factory=dict)

    def policy(self, kind: str) -> ProbePolicy:
        """How targets of one type are asked."""
        chosen = self.probe.get(kind, Probe())
        return ProbePolicy.of(kind, chosen.method, chosen.reachable, chosen.send_headers)


_BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0)
_RESERVE = 0.5  # seconds at the end of a run in which no probe is under way any more, at most a tenth of it
_OUTCOMES = ("success", "failure")
# What a probe can end with; each starts at 0 so that the first of its kind is an increase.
_REASONS = (
    Reason.TIMEOUT,
    Reason.CONNECT,
    Reason.DNS,
    Reason.TLS,
    Reason.AUTH,
    Reason.HTTP_STATUS,
    Reason.RATE_LIMITED,
    Reason.REDIRECT,
    Reason.DECODE,
    Reason.LIMIT,
    Reason.CONFIG,
    Reason.INTERNAL,
)


class _Meters:
    """What is counted per target, and the gauges made from its state at each run."""

    def __init__(self, prefix: str) -> None:
        meter = self._meter = Meter(f"{prefix}_")
        self.checks = meter.counter(
            "health_checks_total", "Probes that ended, by whether the target was reached.", ("target", "outcome")
        )
        self.errors = meter.counter(
            "health_check_errors_total", "Probes that failed or found the target degraded.", ("target", "reason")
        )
        self.duration = meter.histogram(
            "health_check_duration_seconds", "Time from the name to the headers of the answer.", _BOUNDS, ("target",)
        )
        self.status = Family(
            f"{prefix}_health_status",
            "Health of the target: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.",
            labels=("target", "type"),
        )
        self.failures = Family(
            f"{prefix}_consecutive_failures", "Failed probes since the target was last reached.", labels=("target",)
        )
        self.success_rate = Family(
            f"{prefix}_success_rate",
            "Percent of the probes in the window that reached the target.",
            labels=("target",),
        )
        self.tls_expiry = Family(
            f"{prefix}_target_tls_expiry_timestamp_seconds",
            "When the certificate of the target expires; absent unless it was verified.",
            labels=("target",),
            unit="seconds",
        )

    @property
    def families(self) -> tuple[Family, ...]:
        return (self.status, self.failures, self.success_rate, *self._meter.families, self.tls_expiry)

    def add(self, name: str) -> None:
        for outcome in _OUTCOMES:
            self.checks.labels(name, outcome)
        for reason in _REASONS:
            self.errors.labels(name, reason)

    def remove(self, names: Sequence[str]) -> None:
        for instrument in (self.checks, self.errors, self.duration):
            instrument.remove(*names)

    def count(self, name: str, seen: Observation) -> None:
        failed = seen.verdict.finding is Finding.FAILURE
        self.checks.labels(name, _OUTCOMES[failed]).inc()
        if seen.verdict.reason is not None:
            self.errors.labels(name, seen.verdict.reason).inc()
        self.duration.labels(name).observe(seen.latency)

    def samples(self, shown: Iterable[TargetHealth]) -> tuple[Samples, ...]:
        enabled = [health for health in shown if health.enabled]
        probed = [health for health in enabled if health.last_probe is not None]
        rates: dict[Key, Value] = {(h.name,): h.success_rate for h in probed if h.success_rate is not None}
        expiries: dict[Key, Value] = {(h.name,): h.tls_expiry for h in probed if h.tls_expiry is not None}
        return (
            Samples.of(self.status, {(h.name, h.type): float(h.state.number) for h in enabled}),
            Samples.of(self.failures, {(h.name,): float(h.consecutive_failures) for h in probed}),
            Samples.of(self.success_rate, rates),
            *self._meter.capture(),
            Samples.of(self.tls_expiry, expiries),
        )


def families(prefix: str) -> tuple[Family, ...]:
    """What this collector shows under a prefix."""
    return _Meters(prefix).families


class Health:
    """Probes the targets that are due at this tick, and tells the health of all."""

    name = "health"
    every_tick = True  # each target has its own place in the interval

    def __init__(self, options: Options, parts: Parts) -> None:
        self._options = options
        self._parts = parts
        self._slots = Slots(options.interval or parts.tick, parts.tick)
        self._rules = HealthRules(self._slots.period, options.unhealthy_after, options.window)
        self._policies: dict[str, ProbePolicy] = {kind: options.policy(kind) for kind in KNOWN_TYPES}
        self._meters = _Meters(parts.prefix)
        self.families = self._meters.families
        self._followed: Mapping[str, Target] | None = None
        self._states: dict[str, TargetState] = {}
        self._due: dict[str, float] = {}
        self._under_way: dict[TargetState, asyncio.Future[None]] = {}
        self._epoch = float("nan")  # the first run sets it

    async def collect(self, run: Run) -> Result:
        """One run: whoever is due is probed, the result of each counted as it comes."""
        targets = self._parts.targets.current()
        self._follow(targets)
        if not targets:
            raise NoData
        due = self._pick(self._parts.clock.monotonic())
        await self._probe_all(due, run.deadline)
        now = self._parts.clock.monotonic()
        targets = self._parts.targets.current()
        self._follow(targets)  # a check may have brought in newer ones meanwhile
        idle = [TargetState(target, self._rules) for target in targets.values() if not target.enabled]
        shown = self._states | {state.target.name: state for state in idle}
        detail = HealthDetail(tuple(shown[name].health(now) for name in targets))
        return Result(self._meters.samples(detail.targets), detail)

    async def check(self, name: str) -> TargetHealth | None:
        """One probe now, the one under way if there is one; None: no such target, or it is switched off or has gone.

        Whoever stops waiting costs nobody else the answer.
        """
        directory = self._parts.targets
        self._follow(directory.current())
        state = self._states.get(name)
        if directory.get(name) is None or state is None:
            return None
        known = state.checks
        for _ in range(2):  # a second time if the probe under way was that of a run that was cut off
            if state.checks == known and self._states.get(name) is state:
                await asyncio.wait({self._under_way.get(state) or self._start(state)})
        self._follow(directory.current())
        return state.health(self._parts.clock.monotonic()) if self._states.get(name) is state else None

    def _start(self, state: TargetState) -> asyncio.Future[None]:
        task = asyncio.get_running_loop().create_task(self._look(state, self._options.probe_timeout))
        self._under_way[state] = task
        task.add_done_callback(lambda ended: self._under_way.pop(state))
        return task

    def _follow(self, targets: Mapping[str, Target]) -> None:
        """Forgets targets that are gone, switched off or no longer what they were; the new ones are due at once."""
        if targets is self._followed:
            return
        self._followed = targets
        wanted = {name: target for name, target in targets.items() if target.enabled}
        gone = [name for name, state in self._states.items() if wanted.get(name) != state.target]
        for name in gone:
            del self._states[name], self._due[name]
        self._meters.remove(gone)
        for name in wanted:
            if name not in self._states:
                self._due[name] = float("-inf")
                self._meters.add(name)
        self._states = {
            name: self._states.get(name) or TargetState(target, self._rules) for name, target in wanted.items()
        }

    def _pick(self, now: float) -> deque[TargetState]:
        """The targets to probe at this tick, those that have waited longest first: none is starved by the others."""
        if isnan(self._epoch):
            self._epoch = now
        due = [
            name
            for name, state in self._states.items()
            if self._slots.is_due(self._due[name], now) and not state.held_off(now)
        ]
        return deque(self._states[name] for name in sorted(due, key=self._due.__getitem__))

    async def _probe_all(self, due: deque[TargetState], deadline: float) -> None:
        begin = self._parts.clock.monotonic()
        end = deadline - min(_RESERVE, (deadline - begin) / 10)
        workers = min(self._options.concurrency, len(due))
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(due, workers, begin, end))

    async def _work(self, due: deque[TargetState], workers: int, begin: float, end: float) -> None:
        while due and (left := end - self._parts.clock.monotonic()) > 0:
            # If all of them hang, the last still gets its turn, and its result is in before the run is cut off.
            rounds = -(-len(due) // workers)
            state = due.popleft()
            name = state.target.name
            await self._join_or_look(state, min(self._options.probe_timeout, left / rounds))
            if self._states.get(name) is state:
                # From the tick, not from the end of the probe: a slow answer would skip a slot that is near.
                self._due[name] = self._slots.next(name, self._epoch, begin)

    async def _join_or_look(self, state: TargetState, timeout: float) -> None:
        if (check := self._under_way.get(state)) is not None:
            await asyncio.wait({check}, timeout=timeout)
            return
        ended = self._under_way[state] = asyncio.get_running_loop().create_future()
        try:
            await self._look(state, timeout)
        finally:
            del self._under_way[state]
            ended.set_result(None)

    async def _look(self, state: TargetState, timeout: float) -> None:
        seen = await self._probe(state.target, timeout)
        name = state.target.name
        if self._states.get(name) is state:  # or it has gone meanwhile, and its series with it
            state.observe(seen)
            self._meters.count(name, seen)

    async def _probe(self, target: Target, timeout: float) -> Observation:
        clock = self._parts.clock
        policy = self._policies.get(target.type) or self._options.policy(target.type)
        begin = clock.monotonic()
        try:
            answer = await self._parts.prober.probe(target, policy.method, policy.send_headers, timeout)
        except Failure as failure:
            reason = failure.reason
        except Exception:
            # Whatever is wrong with this one target must not cost the others their run.
            reason = Reason.INTERNAL
        else:
            verdict = judge(policy, answer.status, answer.latency, self._options.degraded_latency)
            at = Moment(clock.monotonic(), clock.wall())
            return Observation(at, answer.latency, verdict, answer.status, answer.tls_expiry, answer.retry_after)
        at = Moment(clock.monotonic(), clock.wall())
        return Observation(at, at.monotonic - begin, Verdict(Finding.FAILURE, reason))


def build(options: Options, parts: Parts) -> Health:
    """The collector; without targets it reports that there is nothing, as they may come at any time."""
    return Health(options, parts)
