"""The daemon: all stages wired; start, reload and stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import platform
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from exporter import __revision__, __version__
from exporter.app.archive import Archive
from exporter.app.assembly import Assembly, assemble, policy_of, tls_of
from exporter.app.origins import Origins, problems_in_files
from exporter.app.pools import Pools
from exporter.app.process import Backstop, Reserve, Signals
from exporter.app.settings import Flags, Settings, differences, settle
from exporter.collectors.health import Health
from exporter.collectors.parts import Parts
from exporter.config.loader import ConfigError
from exporter.config.schema import Config
from exporter.config.watch import Watch
from exporter.engine.clock import SystemClock
from exporter.engine.engine import Engine
from exporter.engine.memory import Memory
from exporter.engine.watchdog import Watchdog
from exporter.exposition.format import Format
from exporter.exposition.pages import Pages
from exporter.instruments.log import Log, say
from exporter.instruments.meter import Meter
from exporter.model.errors import Failure
from exporter.model.problem import Problem, Reloaded
from exporter.model.snapshot import Snapshot
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.findings import Findings
from exporter.publishing.health import TargetHealth
from exporter.publishing.policy import AddressPolicy
from exporter.sources.canary import Canaries
from exporter.sources.discovery import Discovery
from exporter.sources.probe import Prober
from exporter.sources.resolver import Resolver
from exporter.sources.service import PublishingServices
from exporter.sources.tls import TlsOptions
from exporter.web.access import Access
from exporter.web.server import Server
from exporter.web.site import Site

_log = logging.getLogger("exporter")

SELF_PREFIX = "platform_exporter_"

# A stop may take ten seconds in all; each step has its share of it.
STOP_SERVER, STOP_WORK, STOP_HISTORY, STOP_BY = 3.0, 2.0, 1.5, 8.5


class Daemon:
    """All stages, wired."""

    def __init__(self, flags: Flags, environ: Mapping[str, str]) -> None:
        self._flags = flags
        self._environ = environ
        self._clock = SystemClock()
        self._meter = Meter(SELF_PREFIX)
        self._log = Log(self._meter)
        self._pools = Pools()
        self._memory = Memory.of_this_process(self._meter)
        self.engine = Engine(self._clock, self._meter, self._pools.calls, self._pools.abandoned, self._memory)
        self.pages = Pages(self._pools.paint)
        self._watchdog = Watchdog(self._clock, self.engine.metrics.lag.labels(), self._reassert)
        self._build_info()
        self._reloaded = self._meter.gauge(
            "config_last_reload_successful", "Whether the configuration was fine when it was last read."
        ).labels()
        self._reloaded_at = self._meter.gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration was last taken over.", unit="seconds"
        ).labels()
        self._targets = TargetDirectory()
        self._findings = Findings(self._targets)
        self._origins = Origins(environ, self._pools.places, self._clock)
        self._discovery = Discovery(self._findings, self._clock, self._pools.places, self.engine.request)
        self._prober = Prober(self._pools.names, AddressPolicy(), self._clock, TlsOptions())
        resolver = Resolver(self._pools.names, self._clock)
        self._services = PublishingServices(resolver, self._clock, self._pools.parsing, self._pools.places)
        self._canaries = Canaries(resolver, self._clock, self._pools.places)
        # Noted before it is read: a change in between would otherwise never be seen.
        self._watch = Watch([flags.config_file] if flags.config_file else [], self._pools.files, self._changed)
        self._watch.note()
        self._settings = settle(flags, environ)
        self._watch.follow(self._settings.watched)
        web_file = self._settings.config.web.config_file
        self._access = Access(
            Path(web_file) if web_file else None, self._pools.files, self._pools.logins, self._clock, self._meter
        )
        self.archive = self._archived(self._settings.config)
        self._server = Server(self._site(self._settings.config))
        self._assembly = self._assemble(self._settings)
        self._reserve = Reserve()
        self._undone: set[str] = set()
        self._reloading = asyncio.Lock()
        self._next_reload: asyncio.Task[Reloaded] | None = None  # waits for its turn
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failed = False

    def _build_info(self) -> None:
        labels = ("version", "revision", "python")
        info = self._meter.gauge("build_info", "What is running; always 1.", labels)
        info.labels(__version__, __revision__, platform.python_version()).set(1.0)

    def _archived(self, config: Config) -> Archive:
        file = self._flags.config_file
        folder = file.parent if file else Path()
        return Archive(config, folder, self._pools.past, self._clock, self._meter, refuse=lambda: self._memory.short)

    # -- configuration

    def _assemble(self, settings: Settings) -> Assembly:
        config = settings.config
        parts = Parts(
            clock=self._clock,
            prefix=config.metric_prefix,
            tick=config.cycle.interval,
            targets=self._targets,
            prober=self._prober,
            findings=self._findings,
            services=self._services if config.publishing_services else None,
            canaries=self._canaries.tally,
            outlook=self.archive.outlook,
        )
        return assemble(settings, parts, self._meter.families)

    async def reload(self, dry_run: bool = False) -> Reloaded:
        """Reads everything again: checks first, then swaps only what changed, or keeps all that runs.

        Whoever asks while a reload is waiting for its turn joins it: it reads what is there by then.
        """
        if problems := await self._access.reload(dry_run):
            return Reloaded(problems=problems)
        if dry_run:
            return await self._read_again(dry_run=True)
        return await self._changed()

    async def _changed(self) -> Reloaded:
        if self._next_reload is None:
            self._next_reload = asyncio.get_running_loop().create_task(self._read_again())
        return await asyncio.shield(self._next_reload)

    async def _read_again(self, dry_run: bool = False) -> Reloaded:
        async with self._reloading:
            if not dry_run:
                self._next_reload = None
            try:
                settings = await self._pools.files(self._settle)
                changes = tuple(differences(self._settings.config, settings.config))
                fixed = [path for path in changes if path.startswith(("web.", "history.path"))]
                if fixed:
                    message = "cannot change while the daemon runs: restart it"
                    raise ConfigError(tuple(Problem(message, path) for path in fixed))
                fresh = self._assemble(settings)
            except ConfigError as error:
                if not dry_run:
                    self._refuse(error)
                return Reloaded(problems=error.problems)
            if not dry_run:
                await self._adopt(settings, fresh, changes)
            return Reloaded(changes)

    def _settle(self) -> Settings:
        with self._reserve.lent():
            return settle(self._flags, self._environ, self._settings.catalogue)

    def _refuse(self, error: ConfigError) -> None:
        self._reloaded.set(0.0)
        # A file that was missing may come: that mends it.
        self._watch.follow([*self._settings.watched, *error.watched])
        for problem in error.problems:
            say(_log, logging.ERROR, "configuration refused, the last good one stays", problem=str(problem))

    async def _adopt(self, settings: Settings, fresh: Assembly, changes: Sequence[str]) -> None:
        self._services.configure(settings.config.publishing_services, settings.dialects)
        self._canaries.configure(settings.config.publishing_services)
        if changes or settings.catalogue != self._settings.catalogue:
            self._assembly = fresh.keeping(self._assembly)
            self._log.configure(settings.config.log.level, settings.config.log.format)
            await self.engine.configure(self._assembly.plan)
            self._tell_of_namesakes()
        self.archive.configure(settings.config)
        self._aim(settings.config)
        if any(path.startswith("targets.") for path in changes):
            self._find(settings.config)
        self._settings = settings
        self._watch.follow(settings.watched)
        self._reloaded.set(1.0)
        self._reloaded_at.set(self._clock.wall())
        say(_log, logging.INFO, "configuration reloaded", changed=", ".join(changes) or "nothing")

    def _tell_of_namesakes(self) -> None:
        for off in self._assembly.namesakes:
            say(_log, logging.WARNING, "plugin not loaded", plugin=off.name, reason=off.reason, detail=off.detail)

    def _aim(self, config: Config) -> None:
        """Sets how targets are probed."""
        self._prober.policy = policy_of(config)
        with contextlib.suppress(Failure):  # checked a moment ago: what has gone since leaves the old ones in force
            self._prober.tls = tls_of(config)

    def _find(self, config: Config) -> None:
        """Sets where targets are found: those of the configuration are known with this, others as they are listed."""
        self._discovery.configure(self._origins.of(config), config.targets.refresh.rules())

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong beyond the configuration itself, and refuses nothing while the daemon runs."""
        return tuple(problems_in_files(self._settings.config, self._environ))

    # -- once

    async def once(self) -> tuple[Snapshot, bytes]:
        """One refresh of the targets, one cycle of everything, and its page."""
        config = self._settings.config
        self._log.start(config.log.level, config.log.format)
        self._services.configure(config.publishing_services, self._settings.dialects)
        self._aim(config)
        self._find(config)
        await self._discovery.refresh()
        plan = self._assembly.plan
        longest = max([plan.timeout, *(entry.timeout for entry in plan.entries)])
        self.engine.start(replace(plan, timeout=longest))
        snapshot = await self.engine.once()
        page = await self.pages.page(snapshot, Format.TEXT, False)
        await self._close()
        return snapshot, page.body

    # -- the daemon

    async def serve(self, started: Callable[[Sequence[str]], None] = lambda addresses: None) -> None:
        """Runs until a signal says stop. An address that cannot be had raises OSError."""
        config = self._settings.config
        self._log.start(config.log.level, config.log.format)
        self._reserve.fill()
        server = self._server
        await server.start(config.web.listen_addresses)
        self._backstop = Backstop(STOP_BY)
        self._signals = self._handlers()
        self._signals.take()
        self._services.configure(config.publishing_services, self._settings.dialects)
        self._aim(config)
        self._find(config)
        self._canaries.configure(config.publishing_services)
        self._reloaded.set(1.0)
        self._reloaded_at.set(self._clock.wall())
        self.engine.start(self._assembly.plan)
        self.archive.configure(config)
        self._tell_of_namesakes()
        for work in (
            self.engine.run(),
            self._watchdog.run(),
            self._watch.run(),
            self._access.run(),
            self._discovery.run(),
            self._settle_memory(),
            *self.archive.work(self.engine.feed),
        ):
            self._keep(work)
        path = self._flags.route_prefix + config.web.telemetry_path
        for address in server.addresses:
            say(_log, logging.INFO, "listening", address=address, metrics=f"{self.scheme}://{address}{path}")
        self._warn_of_open_doors()
        started(server.addresses)
        await self._stop.wait()
        say(_log, logging.INFO, "stopping")
        await server.stop(STOP_SERVER)
        for task in self._tasks:
            task.cancel()
        await self.engine.stop(STOP_WORK)
        await self.archive.stop(self.engine.feed, STOP_HISTORY)
        await self._close()
        self._backstop.close()

    @property
    def scheme(self) -> str:
        """What the addresses are spoken to with."""
        return self._access.scheme

    def _warn_of_open_doors(self) -> None:
        for address in () if self._access.authenticates else self._server.addresses:
            host = address.rpartition(":")[0].strip("[]")
            if not ip_address(host).is_loopback:
                message = "anybody who reaches this address may read everything: set --web.config.file"
                say(_log, logging.WARNING, message, address=address)

    def _site(self, config: Config) -> Site:
        return Site(
            feed=self.engine.feed,
            pages=self.pages,
            own=self.engine.own,
            reload=self.reload,
            refresh=self._discovery.ask,
            check=self._check,
            canaries=self._canaries,
            alive=self.engine.alive,
            clock=self._clock,
            offload=self._pools.answers,
            meter=self._meter,
            short_of_memory=lambda: self._memory.short,
            version=__version__,
            telemetry_path=config.web.telemetry_path,
            enable_lifecycle=config.web.enable_lifecycle,
            route_prefix=self._flags.route_prefix,
            external_url=self._flags.external_url,
            access=self._access,
        )

    async def _check(self, name: str) -> TargetHealth | None:
        """Probes one target now; the snapshot that tells of it comes at once."""
        running = {entry.collector.name: entry.collector for entry in self._assembly.plan.entries}
        health = running.get("health")
        known = self._targets.get(name) is not None
        checked = await health.check(name) if known and isinstance(health, Health) else None
        if checked is not None:
            self.engine.request(["health"])
        return checked

    async def _settle_memory(self) -> None:
        """After the first snapshot nothing made so far will go away: no collection needs to look at it again."""
        async for _ in self.engine.feed.subscribe():
            gc.collect()
            gc.freeze()
            return

    def _reassert(self) -> None:
        """Takes back what a plugin has changed of the process: a stop that comes meanwhile is lost."""
        changed = {*self._signals.take(), *["logging"] * self._log.retake()}
        if changed - self._undone:
            self._undone |= changed
            names = ", ".join(sorted(changed))
            say(_log, logging.WARNING, "a plugin changed what belongs to the process, undone", changed=names)

    def _keep(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A part of the daemon itself is gone: better to be started anew than to live on without it.
            say(_log, logging.ERROR, "a part of the daemon failed, stopping", exception=type(error).__name__)
            self.failed = True
            self._begin_stop(task.get_loop(), 1)

    def _begin_stop(self, loop: asyncio.AbstractEventLoop, code: int) -> None:
        # Whatever the steps of a stop run into, the process is gone in time.
        self._backstop.arm(code)
        loop.call_soon_threadsafe(self._stop.set)

    def _handlers(self) -> Signals:
        # Plain handlers and not the loop's: they run even while a collector holds the loop.
        loop = asyncio.get_running_loop()
        asked = False

        def stop(signum: int, frame: object) -> None:
            nonlocal asked
            if asked:
                os._exit(0)
            asked = True
            self._begin_stop(loop, 0)

        def reload(signum: int, frame: object) -> None:
            loop.call_soon_threadsafe(lambda: self._keep(self.reload()))

        return Signals({signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload})

    async def _close(self) -> None:
        self._reserve.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._discovery.close()
                await self._prober.close()
                await self._canaries.close()
                await self._services.close()
        self._log.stop()
