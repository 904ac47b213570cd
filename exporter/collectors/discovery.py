"""Tells which publishing targets there are, and which documents give none."""

from __future__ import annotations

from collections import Counter

from exporter.collectors.parts import Parts
from exporter.collectors.prefixed import Prefixed
from exporter.config.schema import CollectorOptions
from exporter.model.collector import Run
from exporter.model.errors import Failure, Partial
from exporter.model.metric import Family, Key, Result, Samples
from exporter.publishing.document import TYPES


class Options(CollectorOptions):
    """What may be set under `collectors.discovery`; where targets are found stands under `targets`."""


class Discovery:
    """Reads what is in memory: the origins of targets are asked elsewhere."""

    name = "discovery"

    def __init__(self, parts: Parts) -> None:
        self._findings = parts.findings
        self._directory = parts.targets
        tally, lookups = parts.findings.tally, parts.targets.meter
        self._counted = Prefixed(parts.prefix, [tally.discovery, lookups])
        self._targets = Family(f"{parts.prefix}_targets", "Targets known now.", labels=("type", "enabled"))
        self._documents = Family(
            f"{parts.prefix}_discovered_secrets",
            "Documents there are now, Secrets and those of every other origin, by what came of them.",
            labels=("status",),
        )
        self._last = Family(
            f"{parts.prefix}_discovery_last_success_timestamp_seconds",
            "Since when no change can have gone unnoticed: the oldest of the origins' last listings.",
            unit="seconds",
        )
        self._receivers = Family(
            f"{parts.prefix}_receiver_integrations",
            "Integrations of a receiver of Alertmanager; alerts sent to one without any reach nobody.",
            labels=("receiver",),
        )
        self.families = (self._targets, self._documents, *self._counted.families, self._last, self._receivers)

    def collect(self, run: Run) -> Result:
        """One look. That an origin cannot be listed makes the result partial, or a failure if nothing is known."""
        findings = self._findings
        result = Result([*self._gauges(), *self._counted.samples()], findings.discovery_detail())
        for failure in findings.failures:
            if not findings.known:
                raise Failure(failure.reason, failure.detail)
            raise Partial(result, failure.reason, failure.detail)
        return result

    def _gauges(self) -> list[Samples]:
        findings, found = self._findings, []
        if findings.known:
            found.append(Samples.of(self._targets, self._by_type()))
            found.append(Samples.of(self._documents, self._by_status()))
        if findings.last_success is not None:
            found.append(Samples.of(self._last, findings.last_success))
        if integrations := findings.merged.integrations:
            found.append(Samples.of(self._receivers, {(name,): float(n) for name, n in integrations.items()}))
        return found

    def _by_type(self) -> dict[Key, float]:
        counts = Counter((target.type, target.enabled) for target in self._directory.current().values())
        types = dict.fromkeys((*TYPES, *(kind for kind, _ in counts)))
        return {
            (kind, str(enabled).lower()): float(counts[kind, enabled]) for kind in types for enabled in (True, False)
        }

    def _by_status(self) -> dict[Key, float]:
        merged = self._findings.merged
        return {
            ("valid",): float(len(merged.targets)),
            ("invalid",): float(len(merged.invalid)),
            ("skipped",): float(merged.skipped),
        }


def build(options: Options, parts: Parts) -> Discovery:
    """The collector; without an origin of targets it tells that there are none."""
    return Discovery(parts)
