"""What collectors are built from."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.model.collector import Clock
from exporter.publishing.canary import Tally
from exporter.publishing.directory import TargetDirectory
from exporter.publishing.findings import Findings
from exporter.publishing.outlook import Outlook
from exporter.sources.probe import Prober
from exporter.sources.service import PublishingServices


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Sources, state and clock, made once by the composition root. `tick` is the interval of cycles in seconds.

    There are no services if none are configured, and no outlook if there is no history.
    """

    clock: Clock
    prefix: str
    tick: float
    targets: TargetDirectory
    prober: Prober
    findings: Findings = field(default_factory=Findings)
    services: PublishingServices | None = None
    canaries: Tally = field(default_factory=Tally)
    outlook: Outlook | None = None
