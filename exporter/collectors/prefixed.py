"""What state objects have counted, under the prefix that a configuration chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from exporter.instruments.meter import Meter
from exporter.model.metric import Samples


class Prefixed:
    """The counts live as long as the daemon, the prefix as long as a configuration."""

    def __init__(self, prefix: str, meters: Iterable[Meter]) -> None:
        self._meters = tuple(meters)
        # By name, and made once: the engine knows a declared family by being the same object.
        self._renamed = {
            family.name: replace(family, name=f"{prefix}_{family.name}")
            for meter in self._meters
            for family in meter.families
        }
        self.families = tuple(self._renamed.values())

    def samples(self) -> list[Samples]:
        """Every family that has a series."""
        return [
            samples._replace(family=self._renamed[samples.family.name])
            for meter in self._meters
            for samples in meter.capture()
        ]
