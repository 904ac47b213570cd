"""Which collectors there are, and how a configuration turns them into running ones."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TextIO, cast

import exporter.collectors
from exporter.collectors.bridge import Bridge, Foreign
from exporter.collectors.parts import Parts
from exporter.config.schema import CollectorOptions, Collectors, Config
from exporter.model.collector import Collector, Derived
from exporter.model.errors import Failure
from exporter.model.metric import Family
from exporter.model.problem import Problem
from exporter.model.reason import Reason

GROUP = "platform_exporter.collectors"
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")

Failures = Mapping[str, tuple[Reason, str]]


class Module(Protocol):
    """What a collector's file exports."""

    @property
    def Options(self) -> type[CollectorOptions]: ...  # noqa: N802  # a class, named as one
    @property
    def build(self) -> Callable[[Any, Parts], Collector | Derived | None]: ...


@dataclass(frozen=True, slots=True)
class Bridged:
    """A prometheus_client collector in the place of a module; made once, so that a reload does not reset it."""

    name: str
    foreign: Foreign
    Options: type[CollectorOptions] = CollectorOptions

    def build(self, options: CollectorOptions, parts: Parts) -> Collector:
        return Bridge(self.name, self.foreign, parts.clock.monotonic)


def builtin() -> dict[str, Module]:
    """Every file of this package that exports `Options` and `build`, in page order: health first, then by name."""
    found: dict[str, Module] = {}
    names = [module.name for module in pkgutil.iter_modules(exporter.collectors.__path__)]
    for name in sorted(names, key=lambda name: (name != "health", name)):
        module = importlib.import_module(f"exporter.collectors.{name}")
        if _is_module(module):
            found[name] = cast(Module, module)
    return found


def plugins(names: Iterable[str], taken: Iterable[str] = ()) -> tuple[dict[str, Module], dict[str, tuple[Reason, str]]]:
    """The outside collectors with these names that could be loaded, and why the others could not."""
    loaded: dict[str, Module] = {}
    failed: dict[str, tuple[Reason, str]] = {}
    refused = frozenset(taken)
    for name in dict.fromkeys(names):
        try:
            loaded[name] = _plugin(name, refused)
        except Failure as failure:
            failed[name] = (failure.reason, failure.detail)
    return loaded, failed


def _plugin(name: str, taken: frozenset[str]) -> Module:
    if name in taken:
        raise Failure(Reason.CONFIG, "a built-in collector has this name")
    if not _NAME.match(name) or hasattr(Collectors, name):
        raise Failure(Reason.CONFIG, "a collector cannot have this name")
    entries = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if len(entries) != 1:
        found = "several installed packages offer" if entries else "no installed package offers"
        raise Failure(Reason.CONFIG, f"{found} it under {GROUP}")
    return _load(name, *entries.values())


def _load(name: str, entry: EntryPoint) -> Module:
    try:
        with _stdout_is_ours():
            found = entry.load()
            if _is_module(found):
                return cast(Module, found)
            ready = hasattr(found, "collect") and not isinstance(found, type)
            foreign = found() if not ready and callable(found) else found
            if callable(getattr(foreign, "collect", None)):
                return Bridged(name, foreign)
    except BaseException as error:  # what a plugin does at import, sys.exit included, is its own failure
        raise Failure(Reason.INTERNAL, type(error).__name__) from None
    raise Failure(Reason.CONFIG, "it is neither a module with Options and build nor a prometheus_client collector")


def _is_module(found: object) -> bool:
    options = getattr(found, "Options", None)
    return (
        isinstance(options, type) and issubclass(options, CollectorOptions) and callable(getattr(found, "build", None))
    )


@contextmanager
def _stdout_is_ours() -> Iterator[None]:
    """Sends what others write to stdout to stderr: stdout may be carrying a page. Child processes inherit that."""
    kept = None
    _flush()
    with suppress(OSError):  # closed, as it may be under a service manager: then there is nothing to protect
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):  # no stdout, a broken one, a closed one
        cast(TextIO, sys.__stdout__).flush()


@dataclass(frozen=True, slots=True)
class Built:
    """What a configuration makes of the catalogue. With problems the configuration must not be used."""

    collectors: Mapping[str, Collector | Derived]
    disabled: tuple[str, ...] = ()
    failed: Failures = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All collectors that could be found, in page order, and the plugins that could not be loaded."""

    own: Mapping[str, Module]
    outside: Mapping[str, Module] = field(default_factory=dict)
    failed: Failures = field(default_factory=dict)

    @classmethod
    def of(cls, names: Iterable[str], earlier: Catalogue | None = None) -> Catalogue:
        """The built-in collectors and the named plugins; those loaded earlier are kept, as loading would reset them."""
        own = builtin()
        kept = earlier.outside if earlier else {}
        names = tuple(dict.fromkeys(names))
        fresh, failed = plugins([name for name in names if name not in kept], own)
        return cls(own, {name: module for name in names if (module := fresh.get(name) or kept.get(name))}, failed)

    @property
    def options(self) -> dict[str, type[CollectorOptions]]:
        """What stands under `collectors` in a configuration."""
        return {name: module.Options for name, module in (*self.own.items(), *self.outside.items())}

    def build(self, config: Config, parts: Parts, daemon: Iterable[Family] = ()) -> Built:
        """Builds what is enabled; `daemon` are the families of the daemon itself, with which nothing may clash.

        A built-in collector that refuses its options makes the configuration wrong; a plugin only itself.
        """
        collectors: dict[str, Collector | Derived] = {}
        failed, disabled, problems = dict(self.failed), list[str](), list[Problem]()
        for name, module in (*self.own.items(), *self.outside.items()):
            options = getattr(config.collectors, name)
            try:
                collector = _build(name, module, options, parts) if options.enabled else None
            except BaseException as error:
                if isinstance(error, Failure) and name in self.own:
                    problems.append(Problem(error.detail, f"collectors.{name}"))
                failed[name] = (Reason.INTERNAL, type(error).__name__)
                continue
            if collector is None:
                disabled.append(name)
            else:
                collectors[name] = collector
        problems.extend(clashes(collectors, daemon))
        return Built(collectors, tuple(disabled), failed, tuple(problems))


def _build(name: str, module: Module, options: CollectorOptions, parts: Parts) -> Collector | Derived | None:
    with _stdout_is_ours():
        collector = module.build(options, parts)
    if collector is None:
        return None
    if not isinstance(collector, Collector | Derived) or collector.name != name:
        raise TypeError("what was built is no collector of that name")
    if not all(isinstance(family, Family) for family in collector.families or ()):
        raise TypeError("what it declares are no families")
    return collector


def clashes(collectors: Mapping[str, Collector | Derived], daemon: Iterable[Family] = ()) -> Iterator[Problem]:
    """Declarations that are not legal, or that cannot stand on one page together; both places are named."""
    owners = {claim: ("the daemon itself", family) for family in daemon for claim in family.claims}
    for name, collector in collectors.items():
        path = f"collectors.{name}"
        for family in collector.families or ():
            for complaint in family.complaints():
                yield Problem(complaint, path)
            others = [owners.setdefault(claim, (path, family)) for claim in sorted(family.claims)]
            for place, other in dict.fromkeys(others):
                if other != family:
                    yield Problem(f"{_declared(family)} clashes with {_declared(other)} of {place}", path)


def _declared(family: Family) -> str:
    labels = ", ".join(family.labels)
    return f"{family.kind} {family.name}{{{labels}}}"
