"""What every built-in collector promises, checked on each of them in a world where there is something to collect."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import ModuleType

import pytest

from exporter.collectors.health import Options as HealthOptions
from exporter.collectors.parts import Parts
from exporter.collectors.registry import builtin, clashes
from exporter.config.dialects import known
from exporter.config.schema import CollectorOptions, PublishingService
from exporter.engine.clock import SystemClock
from exporter.engine.limits import Intake, Limits
from exporter.engine.metrics import EngineMetrics
from exporter.engine.threads import DaemonPool
from exporter.exposition.lint import lint
from exporter.instruments.meter import Meter
from exporter.model.collector import Collector, Derived, Run
from exporter.model.metric import DISCOVERY_LABELS, Family, Result
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.resolver import Resolver
from exporter.sources.service import PublishingServices
from tests.fakes.remote import Remote, Script, answer, hangs, serve

each = pytest.mark.parametrize("name", builtin())


@asynccontextmanager
async def world(remote: Script | bytes) -> AsyncIterator[tuple[Parts, Remote]]:
    """Parts of the real kind; all they can reach is one remote."""
    clock = SystemClock()
    prober = Prober(DaemonPool("dns", 2), AddressPolicy(), clock, HealthOptions().tls.options())
    services = PublishingServices(
        Resolver(DaemonPool("dns", 2), clock), clock, DaemonPool("reading", 1), DaemonPool("files", 1)
    )
    async with serve(remote) as reached:
        watched = PublishingService.model_validate({"name": "am", "url": reached.url(), "dialect": "alertmanager"})
        services.configure([watched], {"alertmanager": known("alertmanager")})
        targets = TargetDirectory(
            Target(name=f"{kind}-one", type=kind, format=kind, url=Secret(reached.url()))
            for kind in ("rootly", "slack", "pagerduty", "webhook")
        )
        try:
            yield (
                Parts(clock=clock, prefix="publishing", tick=15.0, targets=targets, prober=prober, services=services),
                reached,
            )
        finally:
            await prober.close()
            await services.close()


def build(name: str, parts: Parts) -> Collector | Derived:
    module = builtin()[name]
    collector = module.build(module.Options(), parts)
    assert isinstance(collector, Collector | Derived)
    return collector


def declared(collector: Collector | Derived) -> tuple[Family, ...]:
    assert collector.families is not None, "only a bridged collector may leave its families open"
    return tuple(collector.families)


async def collect(collector: Collector | Derived) -> Result:
    if isinstance(collector, Derived):
        return collector.derive({})
    found = collector.collect(Run(cycle=1, deadline=time.monotonic() + 30.0, wall=time.time()))
    return await found if inspect.isawaitable(found) else found


@each
async def test_its_name_is_that_of_its_file(name: str) -> None:
    module = builtin()[name]
    assert isinstance(module, ModuleType)
    assert module.__name__ == f"exporter.collectors.{name}"
    async with world(answer(200)) as (parts, _):
        assert build(name, parts).name == name


@each
async def test_its_options_have_defaults_and_do_not_shadow_the_common_ones(name: str) -> None:
    options = builtin()[name].Options
    assert options().enabled
    assert set(CollectorOptions.model_fields) <= set(options.model_fields)
    assert [
        key
        for key, field in CollectorOptions.model_fields.items()
        if options.model_fields[key].annotation != field.annotation
    ] == []


@each
async def test_its_families_are_legal_and_documented(name: str) -> None:
    async with world(answer(200)) as (parts, _):
        families = declared(build(name, parts))
    assert families
    assert [complaint for family in families for complaint in family.complaints()] == []
    assert [family.name for family in families if DISCOVERY_LABELS.intersection(family.labels)] == []
    assert [family.name for family in families if not family.help.endswith(".")] == []


@each
async def test_its_publishing_families_carry_the_configured_prefix(name: str) -> None:
    async with world(answer(200)) as (parts, _):
        default = [family.name for family in declared(build(name, parts))]
        renamed = [family.name for family in declared(build(name, replace(parts, prefix="alerts")))]
    assert renamed == [name.replace("publishing_", "alerts_", 1) for name in default]


@each
async def test_its_samples_belong_to_its_families_and_none_is_dropped(name: str) -> None:
    async with world(answer(200)) as (parts, _):
        collector = build(name, parts)
        result = await collect(collector)
    families = declared(collector)
    assert [column.family for column in result.samples if not any(f.declares(column.family) for f in families)] == []
    assert Intake(collector.families, lambda family: True, Limits()).accept(result).drops == {}
    assert lint(result.samples) == []


@each
async def test_cancelling_it_ends_it_at_once_and_leaves_nothing_running(name: str) -> None:
    before = asyncio.all_tasks()
    async with world(hangs) as (parts, remote):
        collector = build(name, parts)
        if isinstance(collector, Collector) and inspect.iscoroutinefunction(collector.collect):
            running = asyncio.create_task(collect(collector))
            while not remote.heads and not running.done():
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(running, 5.0)
    assert asyncio.all_tasks() == before


async def test_no_two_collectors_nor_the_daemon_itself_clash() -> None:
    meter = Meter("platform_exporter_")
    EngineMetrics(meter)
    async with world(answer(200)) as (parts, _):
        collectors = {name: build(name, parts) for name in builtin()}
    assert list(clashes(collectors, meter.families)) == []
