"""Snapshots and samples in one line."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition.format import Format
from exporter.exposition.render import Renderer
from exporter.model.metric import Samples
from exporter.model.snapshot import Snapshot

Series = tuple[str, frozenset[tuple[str, str]]]


def snapshot(samples: Mapping[str, tuple[Samples, ...]], own: tuple[Samples, ...] = (), id: int = 1) -> Snapshot:
    return Snapshot(id, 0.0, 0.0, 0.0, 1e9, samples, {}, {}, own)


def render(samples: Iterable[Samples], format: Format) -> bytes:
    return b"".join(Renderer().render(samples, format))


def parsed(page: bytes, format: Format) -> dict[Series, bytes]:
    """What prometheus_client reads from a page: the bits of each value by name and labels."""
    parse = parse_openmetrics if format is Format.OPENMETRICS else parse_text
    samples = [sample for family in parse(page.decode()) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): bits(sample.value) for sample in samples}
    assert len(found) == len(samples)
    return found


def bits(value: float) -> bytes:
    return b"NaN" if value != value else struct.pack("d", value)
