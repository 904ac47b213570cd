"""From a configuration to the origins of targets, keeping those that nothing changed for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from exporter.config.globs import matches
from exporter.config.problems import ConfigError
from exporter.config.schema import Config
from exporter.config.target_file import load_targets
from exporter.model.collector import Offload
from exporter.model.problem import Problem
from exporter.sources.origins import Origin, Static
from exporter.sources.target_files import TargetFiles

Recipe = tuple[object, Callable[[], Origin]]


class Origins:
    """Makes origins. One whose part of the configuration is as before is the same object, with all it remembers."""

    def __init__(self, environ: Mapping[str, str], offload: Offload) -> None:
        self._environ = environ
        self._offload = offload
        self._made: list[tuple[object, Origin]] = []

    def of(self, config: Config) -> list[Origin]:
        """The origins a configuration asks for, each with its own kind and name."""
        self._made = [(key, self._kept(key) or make()) for key, make in self._recipes(config)]
        return [origin for _, origin in self._made]

    def _kept(self, key: object) -> Origin | None:
        return next((origin for known, origin in self._made if known == key), None)

    def _recipes(self, config: Config) -> Iterator[Recipe]:
        targets = config.targets
        yield (
            ("static", targets.static),
            lambda: Static(document.to_target("static", "") for document in targets.static),
        )
        if targets.files:
            paths = tuple(map(Path, targets.files))
            yield ("file", paths), lambda: TargetFiles(paths, self._environ, self._offload)


def problems_in_files(config: Config, environ: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong in the files of targets: while the daemon runs that is reported, and refuses nothing."""
    for path in dict.fromkeys(file for name in config.targets.files for file in matches(Path(name))):
        try:
            file = load_targets(path, environ)
        except ConfigError as error:
            yield from error.problems
        else:
            yield from (problem for _, problems in sorted(file.problems.items()) for problem in problems)
