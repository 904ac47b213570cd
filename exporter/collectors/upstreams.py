"""What the collectors of watched services share: families of the catalogue under a prefix, and how a run ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.model.errors import Partial
from exporter.model.metric import Family, Result, Samples
from exporter.publishing.dialects.catalogue import declared
from exporter.publishing.upstream import UpstreamState, failures


class Catalogue:
    """Some families of the catalogue as they stand on our page."""

    def __init__(self, families: Mapping[str, Family], prefix: str) -> None:
        self._declared = {name: declared(family, prefix) for name, family in families.items()}
        self._bounded: dict[tuple[str, tuple[float, ...]], Family] = {}

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(self._declared.values())

    def samples(self, upstreams: Sequence[UpstreamState]) -> Iterator[Samples]:
        """One column for each replica, family and set of bounds."""
        used: dict[tuple[str, tuple[float, ...]], Family] = {}
        for upstream in upstreams:
            for replica in upstream.replicas:
                for rows in replica.rows:
                    if rows.family in self._declared:
                        at = (rows.family, rows.bounds)
                        family = used[at] = self._bounded.get(at) or self._with_bounds(*at)
                        yield Samples(family, rows.keys, rows.values)
        self._bounded = used

    def _with_bounds(self, name: str, bounds: tuple[float, ...]) -> Family:
        family = self._declared[name]
        return replace(family, bounds=bounds) if bounds else family


def ended(result: Result, upstreams: Sequence[UpstreamState]) -> Result:
    """The result if every replica could be scraped; else what there is, as partial."""
    failed = list(failures(upstreams))
    if not failed:
        return result
    number = sum(len(upstream.replicas) for upstream in upstreams)
    upstream, replica, failure = failed[0]
    more = f"{len(failed)} of {number} replicas not scraped, " if number > 1 else ""
    raise Partial(result, failure.reason, f"{more}{upstream} {replica}: {failure.detail}")


def require_one(upstreams: Sequence[UpstreamState]) -> None:
    """Fails if not one replica could be scraped."""
    failed = list(failures(upstreams))
    if failed and len(failed) == sum(len(upstream.replicas) for upstream in upstreams):
        raise failed[0][2]
