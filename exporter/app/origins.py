"""From a configuration to the origins of targets, keeping those that nothing changed for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.app.assembly import policy_of
from exporter.config.globs import matches
from exporter.config.problems import ConfigError
from exporter.config.schema import AlertmanagerSource, Config, Kubernetes
from exporter.config.target_file import document_values, load_targets
from exporter.model.collector import Clock, Offload
from exporter.model.problem import Problem
from exporter.sources.alertmanager import OPERATORS_KEY, AlertmanagerFile, AlertmanagerSecret, fault_of
from exporter.sources.origins import Origin, Static
from exporter.sources.target_files import TargetFiles

if TYPE_CHECKING:
    from exporter.sources.kubernetes import Cluster

Recipe = tuple[object, Callable[[], Origin]]


class Origins:
    """Makes origins. One whose part of the configuration is as before is the same object, with all it remembers."""

    def __init__(self, environ: Mapping[str, str], offload: Offload, clock: Clock) -> None:
        self._environ = environ
        self._clock = clock
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
        for place in dict.fromkeys(targets.alertmanager):
            if place.file is not None:
                yield place, partial(AlertmanagerFile, Path(place.file), self._offload)
            else:
                yield (place, targets.kubernetes), partial(self._secret, place, config)
        if targets.kubernetes is not None:
            yield ("kubernetes", targets.kubernetes, targets.policy), partial(self._cluster, config)

    def _secret(self, place: AlertmanagerSource, config: Config) -> AlertmanagerSecret:
        namespace, _, name = (place.secret or "").partition("/")
        key = place.key or OPERATORS_KEY
        cluster = self._cluster(config)
        return AlertmanagerSecret(
            f"{place.secret}/{key}", lambda: cluster.secret(namespace, name, key), self._offload, cluster.close
        )

    def _cluster(self, config: Config) -> Cluster:
        # Imported here: whoever has no cluster need not wait for it, nor make room.
        from exporter.sources.kubernetes import Cluster, ClusterOptions
        from exporter.sources.kubernetes.namespace import own_namespace

        given = config.targets.kubernetes or Kubernetes()
        kubeconfig = Path(given.kubeconfig) if given.kubeconfig else None
        options = ClusterOptions(
            namespaces=given.namespaces or (own_namespace(kubeconfig),),
            label_selector=given.label_selector,
            kubeconfig=kubeconfig,
        )
        return Cluster(options, policy_of(config), self._clock, parse=document_values)


def problems_in_files(config: Config, environ: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong in the files of targets: while the daemon runs that is reported, and refuses nothing."""
    for path in dict.fromkeys(file for name in config.targets.files for file in matches(Path(name))):
        try:
            file = load_targets(path, environ)
        except ConfigError as error:
            yield from error.problems
        else:
            yield from (problem for _, problems in sorted(file.problems.items()) for problem in problems)
    for place in config.targets.alertmanager:
        if place.file is not None and (fault := fault_of(Path(place.file))):
            yield Problem(fault, file=place.file)
