"""Takes a prometheus_client collector as it is and turns what it yields into our samples.

Nothing is trusted: it may yield junk, go on for ever or be different every time. A bad row is passed on in a form the
engine drops and counts; what is no metric at all is skipped, and the run then ends as partial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from math import inf, isnan, nan
from typing import Any, Protocol

from prometheus_client.openmetrics.exposition import escape_label_name, escape_metric_name

from exporter.model.collector import Run
from exporter.model.errors import Failure, Partial
from exporter.model.metric import Family, Kind, Result, Samples
from exporter.model.reason import Reason

SAMPLE_CAP = 1_000_000  # ends an endless generator; far above any series budget
FAMILY_CAP = 10_000
LABEL_CAP = 64  # a new label name in every sample would make each row as wide as there are rows
HELP_CAP = 1_000

_KINDS = {
    "counter": Kind.COUNTER,
    "gauge": Kind.GAUGE,
    "histogram": Kind.HISTOGRAM,
    "info": Kind.GAUGE,
    "stateset": Kind.GAUGE,
    "summary": Kind.SUMMARY,
}
_SCALARS: Mapping[str, tuple[str, ...]] = {"counter": ("_total", ""), "info": ("_info",)}
_PARTS: Mapping[str, Mapping[str, str]] = {
    "histogram": {"_bucket": "le", "_sum": "sum", "_count": "count"},
    "summary": {"": "quantile", "_sum": "sum", "_count": "count"},
}
_BOUNDS = ("le", "quantile")
_HAVE_CREATED = ("counter", "histogram", "summary", "gaugehistogram")

Labels = dict[str, Any]
Parts = dict[Any, float | None]  # of a histogram or summary: by bound, and "sum" and "count"

_metric_name = lru_cache(FAMILY_CAP)(escape_metric_name)
_label_name = lru_cache(FAMILY_CAP)(escape_label_name)


class Foreign(Protocol):
    """What prometheus_client calls a collector."""

    def collect(self) -> Iterable[Any]: ...


@dataclass(slots=True)
class _Table:
    """The rows of one family while they come in: each a number, or the parts of a histogram or summary."""

    name: str
    help: str
    kind: Kind
    unit: str
    labels: dict[str, None] = field(default_factory=dict)
    rows: list[tuple[Labels, Any]] = field(default_factory=list)
    parts: dict[tuple[tuple[str, Any], ...], Parts] = field(default_factory=dict)

    def add(self, labels: Labels, content: Any) -> None:
        if len(self.labels) + len(labels) > LABEL_CAP and len(self.labels.keys() | labels.keys()) > LABEL_CAP:
            labels, content = {}, None
        self.labels.update(dict.fromkeys(labels))
        self.rows.append((labels, content))

    def add_part(self, labels: Labels, part: str, number: float | None) -> None:
        """One line of a histogram or summary; lines whose other labels are the same make one metric."""
        at: Any = part
        if part in _BOUNDS:
            at = _number(labels.pop(part, None))
            # A bound that is no number spoils its metric: without this bucket all that follow would be wrong.
            at = None if at is None or isnan(at) else at
        identity = tuple(sorted(labels.items(), key=lambda pair: pair[0]))
        if identity not in self.parts:
            self.parts[identity] = {}
            self.add(labels, self.parts[identity])
        self.parts[identity][at] = number

    def family(self) -> Family | None:
        """The declaration these rows imply: the first whole metric says which bounds there are, if there is one."""
        bounds: tuple[float, ...] = ()
        if self.kind in _FLATTEN:
            whole = [parts for parts in self.parts.values() if None not in parts and (inf in parts or "count" in parts)]
            if not whole:
                return None
            bounds = tuple(sorted(_bounds(whole[0])))
        return Family(self.name, self.help, self.kind, tuple(self.labels), self.unit, bounds)

    def samples(self, family: Family) -> Samples:
        """The rows under a declaration. To Prometheus an absent label is an empty one."""
        names, width, flatten = family.labels, family.width, _FLATTEN.get(family.kind, _scalar)
        keys, values = [], list[Any]()
        for labels, content in self.rows:
            keys.append(tuple([labels.get(name, "") for name in names]))
            numbers = () if content is None else flatten(content, family.bounds)
            values.extend(numbers if len(numbers) == width else (None,) * width)
        return Samples(family, tuple(keys), tuple(values))


def _bounds(parts: Parts) -> set[Any]:
    return {at for at in parts if not isinstance(at, str) and at != inf}


def _scalar(number: Any, bounds: tuple[float, ...]) -> tuple[Any, ...]:
    return (number,)


def _distribution(parts: Parts, bounds: tuple[float, ...]) -> tuple[Any, ...]:
    """Cumulative counts become counts per bucket, then the sum; nothing if it is no histogram with these bounds."""
    cumulative = [*(parts.get(bound) for bound in bounds), parts.get(inf, parts.get("count"))]
    if _bounds(parts) != set(bounds) or None in cumulative:
        return ()
    steps = zip([0.0, *cumulative], cumulative, strict=False)
    return (*(high - low for low, high in steps), parts.get("sum", nan))  # type: ignore[operator]


def _quantiles(parts: Parts, bounds: tuple[float, ...]) -> tuple[Any, ...]:
    """The values at the quantiles, the sum, the count; nothing if it is no summary with these quantiles."""
    if _bounds(parts) != set(bounds):
        return ()
    return (*(parts[bound] for bound in bounds), parts.get("sum", nan), parts.get("count"))


_FLATTEN: Mapping[Kind, Callable[[Any, tuple[float, ...]], tuple[Any, ...]]] = {
    Kind.HISTOGRAM: _distribution,
    Kind.SUMMARY: _quantiles,
}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except Exception:  # somebody's number type may raise anything
        return None


def _text(value: Any) -> Any:
    """A label value of an exact type: comparing a subclass of somebody's could raise."""
    if isinstance(value, str):
        return str.__str__(value)
    return value if type(value) in (int, float, bytes) else None


def _read(sample: Any) -> tuple[str, Labels, float | None]:
    """Name, labels and number of a sample, the names escaped as on the library's own page."""
    name, labels, value = tuple(islice(sample, 3))
    name = _metric_name(str.__str__(name))
    number = None if isinstance(value, str | bytes) else _number(value)
    try:
        return name, {_label_name(str.__str__(label)): _text(text) for label, text in labels.items()}, number
    except Exception:  # the row stays, to be counted, but without labels that are none
        return name, {}, None


@dataclass(slots=True)
class _Metric:
    """The head of a metric of the library, in our words."""

    name: str
    type: str
    help: str
    unit: str

    @classmethod
    def of(cls, metric: Any) -> _Metric:
        name, type = _metric_name(str.__str__(metric.name)), str(metric.type)
        help = str(metric.documentation)[:HELP_CAP].encode(errors="replace").decode()
        unit = str(metric.unit)
        name = name.removesuffix("_total") if type == "counter" else name
        return cls(name, type, help if help.strip() else name, unit if name.endswith(f"_{unit}") else "")


class _Tables:
    """All families of one run, in the order they appeared."""

    def __init__(self) -> None:
        self.skipped = 0
        self._tables: dict[tuple[str, Kind], _Table] = {}

    def add(self, foreign: Any, tick: Callable[[], None]) -> None:
        """Adds a metric of the library; `tick` is called for each sample and may raise to put an end to it."""
        metric = _Metric.of(foreign)
        for sample in foreign.samples:
            tick()
            try:
                name, labels, number = _read(sample)
            except Exception:
                self.skipped += 1
            else:
                self._place(metric, name, labels, number)

    def _place(self, metric: _Metric, name: str, labels: Labels, number: float | None) -> None:
        suffix = name[len(metric.name) :] if name.startswith(metric.name) else None
        kind = _KINDS.get(metric.type, Kind.UNKNOWN)
        if suffix == "_created" and metric.type in _HAVE_CREATED:
            return
        part = _PARTS.get(metric.type, {}).get(suffix or "") if suffix is not None else None
        if part:
            self._table(metric.name, kind, metric).add_part(labels, part, number)
        elif metric.type not in _PARTS and suffix in _SCALARS.get(metric.type, ("",)):
            name = f"{metric.name}_total" if kind is Kind.COUNTER else name
            self._table(name, kind, metric).add(labels, number)
        else:
            # Buckets, sum and count of a gauge histogram may all fall: they are gauges. A sample that does not bear
            # its metric's name is what it is on the library's page: a number of unknown type.
            stray = Kind.GAUGE if metric.type == "gaugehistogram" else Kind.UNKNOWN
            self._table(name, stray, metric).add(labels, number)

    def _table(self, name: str, kind: Kind, metric: _Metric) -> _Table:
        table = self._tables.get((name, kind))
        if table is None:
            if len(self._tables) >= FAMILY_CAP:
                raise Failure(Reason.LIMIT, f"it has more than {FAMILY_CAP} families")
            table = self._tables[name, kind] = _Table(name, metric.help, kind, metric.unit)
        return table

    def result(self) -> Result:
        """The samples of every family of which at least one metric is whole."""
        samples = []
        for table in self._tables.values():
            family = table.family()
            if family is None:
                self.skipped += len(table.rows)
            else:
                samples.append(table.samples(family))
        return Result(tuple(samples))


class Bridge:
    """A prometheus_client collector behind our contract; the engine runs it on a thread.

    Its families are known only from what it yields: a `describe()` of the library says names and types but no labels.
    """

    blocking = True
    families = None

    def __init__(self, name: str, foreign: Foreign, monotonic: Callable[[], float]) -> None:
        self.name = name
        self._foreign = foreign
        self._monotonic = monotonic

    def collect(self, run: Run) -> Result:
        """One pass over what the foreign collector yields; whatever it raises is the engine's to judge."""
        tables = _Tables()
        try:
            self._fill(tables, run.deadline)
        except Failure as stopped:
            raise Partial(tables.result(), stopped.reason, stopped.detail) from None
        result = tables.result()
        if tables.skipped:
            raise Partial(result, Reason.PARTIAL, f"{tables.skipped} times it yielded what is no metric")
        return result

    def _fill(self, tables: _Tables, deadline: float) -> None:
        seen = 0

        def tick() -> None:
            nonlocal seen
            seen += 1
            if seen > SAMPLE_CAP:
                raise Failure(Reason.LIMIT, f"stopped after {SAMPLE_CAP} samples")
            if seen % 256 == 0 and self._monotonic() >= deadline:
                raise Failure(Reason.TIMEOUT, "it was still yielding samples at its deadline")

        metrics = iter(self._foreign.collect())
        try:
            for metric in metrics:
                tick()  # metrics without samples can be endless too
                try:
                    tables.add(metric, tick)
                except Failure:
                    raise
                except Exception:
                    tables.skipped += 1
        finally:
            with suppress(Exception):
                metrics.close()  # type: ignore[attr-defined]  # a generator's; others have none
