"""From a configuration to the plan of the engine, keeping what did not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.app.settings import Settings
from exporter.collectors.health import Options as HealthOptions
from exporter.collectors.parts import Parts
from exporter.config.loader import ConfigError
from exporter.config.schema import Config
from exporter.engine.cycle import Plan
from exporter.engine.limits import Limits
from exporter.engine.slot import Entry, Off
from exporter.model.errors import Failure
from exporter.model.metric import Family
from exporter.model.problem import Problem
from exporter.publishing.policy import AddressPolicy
from exporter.sources.canary_alert import places
from exporter.sources.credentials import tls_options
from exporter.sources.tls import TlsOptions


@dataclass(frozen=True, slots=True)
class Assembly:
    """The collectors a configuration asks for. One is kept over a reload while its key stays the same."""

    plan: Plan = field(default_factory=Plan)
    keys: Mapping[str, object] = field(default_factory=dict)
    namesakes: Sequence[Off] = ()  # plugins that are named as a built-in collector: only the log tells of them

    def keeping(self, old: Assembly) -> Assembly:
        """This assembly with those collectors of the old one that nothing changed for: they keep their state."""
        running = {entry.collector.name: entry.collector for entry in old.plan.entries}
        entries = []
        for entry in self.plan.entries:
            name = entry.collector.name
            same = name in running and self.keys[name] == old.keys[name]
            entries.append(replace(entry, collector=running[name]) if same else entry)
        return replace(self, plan=replace(self.plan, entries=entries))


def assemble(settings: Settings, parts: Parts, daemon: Sequence[Family]) -> Assembly:
    """Builds what the configuration asks for, touching nothing that runs; raises ConfigError if it does not fit."""
    config = settings.config
    try:
        tls_of(config).context()
    except Failure as failure:
        raise ConfigError([Problem(failure.detail, "collectors.health.tls")]) from None
    _check_services(config)
    built = settings.catalogue.build(config, parts, daemon)
    if built.problems:
        raise ConfigError(built.problems)
    entries, keys = [], {}
    for name, collector in built.collectors.items():
        options = getattr(config.collectors, name)
        interval, timeout = options.interval or config.cycle.interval, options.timeout or config.cycle.timeout
        entries.append(Entry(collector, interval, timeout, options.families.include, options.families.exclude))
        keys[name] = (options, config.metric_prefix, config.cycle.interval)
    failed = [Off(name, reason, detail) for name, (reason, detail) in built.failed.items()]
    # A plugin with the name of a built-in collector must not pass its failure on to that.
    namesakes = [off for off in failed if off.name in built.collectors or off.name in built.disabled]
    plan = Plan(
        entries=entries,
        off=[*map(Off, built.disabled), *(off for off in failed if off not in namesakes)],
        interval=config.cycle.interval,
        timeout=config.cycle.timeout,
        limits=Limits(**config.limits.model_dump()),
    )
    return Assembly(plan, keys, namesakes)


def _check_services(config: Config) -> None:
    for index, service in enumerate(config.publishing_services):
        options, key = tls_options(service), "tls"
        try:
            if options.has_files:
                options.context()
            key = "canary"
            if service.canary is not None:
                places(service)
        except Failure as failure:
            raise ConfigError([Problem(failure.detail, f"publishing_services[{index}].{key}")]) from None


def policy_of(config: Config) -> AddressPolicy:
    """Which addresses may be probed."""
    policy = config.targets.policy
    return AddressPolicy(allow=policy.allow_networks, deny=policy.deny_networks)


def tls_of(config: Config) -> TlsOptions:
    """How targets are verified."""
    health: HealthOptions = config.collectors.health  # type: ignore[attr-defined]  # fields are made at load time
    return health.tls.options()
