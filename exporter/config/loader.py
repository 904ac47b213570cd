"""The one way from a file to a configuration: everything wrong with it is told at once, each with its place.

bytes ─▶ nodes ─▶ plain values ─▶ files named in it ─▶ rules between keys ─▶ typed configuration
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.config import dialects, rules
from exporter.config.environment import Expansion
from exporter.config.files import Unreadable, decode, read_bytes
from exporter.config.problems import ConfigError, Report
from exporter.config.references import References
from exporter.config.schema import CollectorOptions, Config, config_model
from exporter.config.typed import plain_values, validated
from exporter.model.problem import Problem
from exporter.publishing.dialects.mapping import Dialect

__all__ = ["ConfigError", "Loaded", "load", "parse", "plain_values", "plugin_names", "schema", "validated"]

LARGEST_FILE = 1 << 20

Options = Mapping[str, type[CollectorOptions]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, the file it came from, and every file that makes it different when it changes."""

    config: Config
    path: Path | None
    watched: tuple[Path, ...]
    dialects: Mapping[str, Dialect] = field(default_factory=dict)  # as the services name them


def load(path: Path | None, options: Options, environ: Mapping[str, str], opaque: Collection[str] = ()) -> Loaded:
    """Reads a configuration file; no path gives the defaults. Sections of `opaque` collectors are not looked into."""
    if path is None:
        return Loaded(config_model(options)(), None, ())
    try:
        text = decode(read_bytes(path, LARGEST_FILE))
    except Unreadable as error:
        problem = Problem(f"cannot read the configuration: {error}", file=str(path))
        raise ConfigError([problem], [path]) from None
    try:
        loaded = parse(text, str(path), path.parent, options, environ, opaque)
    except ConfigError as error:
        raise ConfigError(error.problems, [path, *error.watched]) from None
    return Loaded(loaded.config, path, (path, *loaded.watched), loaded.dialects)


def parse(
    text: str,
    name: str,
    base: Path,
    options: Options,
    environ: Mapping[str, str],
    opaque: Collection[str] = (),
) -> Loaded:
    """Reads a configuration from text. Problems name it `name`; relative paths count from `base`."""
    report = Report(name)
    values = plain_values(text, report, Expansion(environ))
    if isinstance(collectors := values.get("collectors"), dict):
        for hidden in set(opaque) - options.keys():
            collectors.pop(hidden, None)
    model = config_model(options)
    references = References(report, base)
    references.resolve(model, values)
    rules.check(values, options, report)
    config = validated(model, values, report, references.models)
    if config is None or report.problems():
        raise ConfigError(report.problems(), references.watched)
    mappings = dialects.Mappings(base, environ)
    for index, service in enumerate(config.publishing_services):
        mappings.load(service.dialect, ("publishing_services", index, "dialect"), report)
    watched = (*references.watched, *mappings.watched)
    if problems := (*report.problems(), *mappings.problems):
        raise ConfigError(problems, watched)
    return Loaded(config, None, watched, mappings.found)


def plugin_names(path: Path | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names under `plugins`, which must be imported before their options can be judged.

    Lenient: a file that cannot be used names none, and `load` says what is wrong with it.
    """
    if path is None:
        return ()
    try:
        values = plain_values(decode(read_bytes(path, LARGEST_FILE)), Report(str(path)), Expansion(environ))
    except (Unreadable, ConfigError):
        return ()
    names = values.get("plugins")
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str))) if isinstance(names, list) else ()


def schema(options: Options) -> dict[str, Any]:
    """The JSON Schema of a configuration file."""
    # Seen from what would be written: durations are text there, also as defaults.
    json_schema = config_model(options).model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **json_schema}
