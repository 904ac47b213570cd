"""Parts for collectors that only read memory."""

from __future__ import annotations

from exporter.collectors.parts import Parts
from exporter.engine.threads import DaemonPool
from exporter.model.metric import Result
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.findings import Findings
from exporter.publishing.policy import AddressPolicy
from exporter.sources.probe import Prober
from exporter.sources.tls import TlsOptions
from tests.fakes.clock import ManualClock


def parts() -> Parts:
    """Wired as the daemon does it, with nothing found so far."""
    clock, directory = ManualClock(), TargetDirectory()
    prober = Prober(DaemonPool("dns", 1), AddressPolicy(), clock, TlsOptions())
    return Parts(
        clock=clock, prefix="publishing", tick=15.0, targets=directory, prober=prober, findings=Findings(directory)
    )


def rows(result: Result) -> dict[str, dict[tuple[str, ...], float]]:
    """Per family, label values with the last number of each metric: its value, or the sum of a histogram."""
    return {samples.family.name: {key: numbers[-1] for key, numbers in samples.rows()} for samples in result.samples}
