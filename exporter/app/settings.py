"""The configuration as it counts: read from the file, checked, flags applied; and what a reload would change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from exporter.collectors.registry import Catalogue
from exporter.config.dialects import known as dialect
from exporter.config.loader import ConfigError, load, parse, plugin_names
from exporter.config.schema import Config, PublishingService, Section
from exporter.model.problem import Problem
from exporter.publishing.dialects.mapping import Dialect

_ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; a flag beats the file."""

    config_file: Path | None = None
    config_text: str | None = None  # the demo's configuration has no file
    listen_addresses: tuple[str, ...] = ()
    telemetry_path: str | None = None
    external_url: str = ""
    route_prefix: str = ""
    enable_lifecycle: bool | None = None
    web_config_file: Path | None = None
    alertmanager_url: str | None = None
    storage_path: Path | None = None
    log_level: str | None = None
    log_format: str | None = None
    collectors: Mapping[str, bool] = field(default_factory=dict)
    disable_defaults: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """A valid configuration, flags applied, with the collectors it is about."""

    config: Config
    catalogue: Catalogue
    watched: tuple[Path, ...]
    dialects: Mapping[str, Dialect] = field(default_factory=dict)


def settle(flags: Flags, environ: Mapping[str, str], known: Catalogue | None = None) -> Settings:
    """Reads and checks everything without touching anything that runs; raises ConfigError with all problems.

    Plugins that are in `known` are not loaded again: that would reset them.
    """
    names = plugin_names(flags.config_file, environ) if flags.config_text is None else ()
    known = Catalogue.of(names, known)
    if flags.config_text is None:
        loaded = load(flags.config_file, known.options, environ, opaque=known.failed.keys())
    else:
        loaded = parse(flags.config_text, "demo", Path.cwd(), known.options, environ)
    # The web configuration has a watch of its own: its certificates come and go without this file.
    watched = tuple(path for path in loaded.watched if str(path) != loaded.config.web.config_file)
    config = _with_flags(loaded.config, flags)
    dialects = dict(loaded.dialects)
    if flags.alertmanager_url is not None:
        config = _watching(config, flags.alertmanager_url)
        dialects[_ALERTMANAGER] = dialect(_ALERTMANAGER)
    return Settings(config, known, watched, dialects)


def _watching(config: Config, url: str) -> Config:
    """The configuration with that Alertmanager among the services: instead of one of its name."""
    service = PublishingService(name=_ALERTMANAGER, url=f"{url.rstrip('/')}/metrics", dialect=_ALERTMANAGER)  # type: ignore[arg-type]  # made a secret of
    others = [one for one in config.publishing_services if one.name != _ALERTMANAGER]
    return _changed(config, publishing_services=(*others, service))


def _with_flags(config: Config, flags: Flags) -> Config:
    known = type(config.collectors).model_fields
    unknown = [name for name in flags.collectors if name not in known]
    if unknown:
        message = f"no such collector; there are: {', '.join(known)}"
        raise ConfigError(tuple(Problem(message, f"--collector.{name}") for name in unknown))
    switches = dict.fromkeys(known, False) if flags.disable_defaults else {}
    switches.update(flags.collectors)
    collectors = {name: _changed(getattr(config.collectors, name), enabled=on) for name, on in switches.items()}
    web = _changed(
        config.web,
        listen_addresses=flags.listen_addresses or None,
        telemetry_path=flags.telemetry_path,
        enable_lifecycle=flags.enable_lifecycle,
        config_file=str(flags.web_config_file) if flags.web_config_file else None,
    )
    history = _changed(config.history, path=str(flags.storage_path) if flags.storage_path else None)
    log = _changed(config.log, level=flags.log_level, format=flags.log_format)
    return _changed(config, history=history, web=web, log=log, collectors=_changed(config.collectors, **collectors))


M = TypeVar("M", bound=Section)


def _changed(model: M, **values: Any) -> M:
    return model.model_copy(update={name: value for name, value in values.items() if value is not None})


def differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """The paths at which two configurations differ; never the values, which may be secret."""
    if isinstance(old, Section) and isinstance(new, Section):
        for name in dict.fromkeys((*type(old).model_fields, *type(new).model_fields)):
            below = f"{path}.{name}" if path else name
            yield from differences(getattr(old, name, None), getattr(new, name, None), below)
    elif old != new:
        yield path
