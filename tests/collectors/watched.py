"""Collectors of watched services beside real remotes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from exporter.collectors.parts import Parts
from exporter.config.dialects import known
from exporter.config.schema import PublishingService
from exporter.engine.limits import Accepted, Intake, Limits
from exporter.engine.threads import DaemonPool
from exporter.model.collector import Run
from exporter.model.metric import Family, Result
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.resolver import Resolver
from exporter.sources.service import PublishingServices
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import RealClock
from tests.fakes.remote import answer

PAGES = Path(__file__).parents[1] / "publishing" / "dialects" / "pages"


def recorded(name: str) -> bytes:
    return answer(200, "Content-Type: text/plain; version=0.0.4", body=(PAGES / f"{name}.prom").read_bytes())


@asynccontextmanager
async def watching(**services: tuple[str, str]) -> AsyncIterator[Parts]:
    """Parts of the real kind; services by name, each a dialect and a URL."""
    clock = RealClock()
    resolver = Resolver(DaemonPool("names", 1), clock)
    source = PublishingServices(resolver, clock, DaemonPool("reading", 1), DaemonPool("files", 1))
    given: list[Any] = [{"name": name, "dialect": dialect, "url": url} for name, (dialect, url) in services.items()]
    source.configure(
        [PublishingService.model_validate(one) for one in given],
        {dialect: known(dialect) for dialect, _ in services.values()},
    )
    prober = Prober(DaemonPool("names", 1), AddressPolicy(), clock, TlsOptions())
    try:
        yield Parts(
            clock=clock, prefix="publishing", tick=15.0, targets=TargetDirectory(), prober=prober, services=source
        )
    finally:
        await source.close()
        await prober.close()


def run(cycle: int = 1, timeout: float = 5.0) -> Run:
    return Run(cycle, time.monotonic() + timeout, time.time())


def accepted(families: tuple[Family, ...], result: Result) -> Accepted:
    return Intake(families, lambda name: True, Limits()).accept(result)


def rows(result: Result, family: str) -> dict[tuple[str, ...], tuple[float, ...]]:
    """The numbers of a family, by label values."""
    return {key: numbers for column in result.samples if column.family.name == family for key, numbers in column.rows()}
