"""What must hold during every fault and after it, whatever the fault is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.faults.page import Page
from tests.faults.process import Daemon, Vitals
from tests.faults.sampler import Sampler, Scrape
from tests.faults.servers import promtool_complaints

LAG = 0.25
CYCLE_GRACE = 0.5
# The allocator keeps what it has for a while, and a pool keeps a thread for the next call. A leak grows with every
# failed run, of which there are several in each fault.
RSS_GRACE, COUNT_GRACE = 8.0, 2
_BAD = ("timeout", "error", "backoff")


@dataclass
class Observed:
    """Everything seen of one fault. Times are the wall clock's."""

    daemon: Daemon
    touched: Mapping[str, frozenset[str]]  # collectors, with the reasons they may fail for
    interval: float
    timeout: float
    but_for: tuple[str, ...]  # how the breaches begin that the row itself allows
    before: Page
    vitals_before: Vitals
    begin: float
    log_start: int
    sampler: Sampler
    end: float = 0.0
    late_recoveries: list[str] = field(default_factory=list)
    ups: list[float] = field(default_factory=list)
    vitals_after: Vitals | None = None

    @property
    def during(self) -> list[Page]:
        return self.sampler.between(self.begin, self.end)

    @property
    def last(self) -> Page:
        return self.sampler.scrapes[-1].page

    def breaches(self) -> list[str]:
        """What was not as it must be, each named after its expectation."""
        checks = (_served, _others_fresh, _told, _logged, _recovered, _given_back, _ready, _on_time, _whole)
        found = [breach for check in checks for breach in check(self)]
        return [breach for breach in dict.fromkeys(found) if not breach.startswith(self.but_for)]


def _served(seen: Observed) -> Iterator[str]:
    yield from (breach for breach in seen.sampler.breaches if breach.startswith("X1"))
    expected = int((seen.end - seen.begin) / 2)
    if len(seen.ups) < expected or not set(seen.ups) <= {1.0}:
        yield f"X1: up in prometheus was {seen.ups}, expected 1 at least {expected} times"
    during = [scrape for scrape in _texts(seen) if seen.begin <= scrape.at <= seen.end]
    for scrape in {scrape.at: scrape for scrape in (*during[-1:], *_texts(seen)[-1:])}.values():
        if complaint := promtool_complaints(scrape.page):
            yield f"X1: promtool: {complaint}"
    if not during:
        yield "X1: no page during the fault"


def _texts(seen: Observed) -> list[Scrape]:
    return [scrape for scrape in seen.sampler.scrapes if scrape.format == "text/plain"]


def _others_fresh(seen: Observed) -> Iterator[str]:
    names = [dict(labels)["collector"] for labels in seen.before.series("platform_exporter_collector_up")]
    limit = seen.timeout + seen.interval + CYCLE_GRACE + seen.sampler.held_up
    for scrape in seen.sampler.scrapes:
        made = scrape.page.own("collection_last_timestamp_seconds")
        if scrape.at - made > limit:
            yield f"X2: a page was {scrape.at - made:.2f} s old"
        for name in names:
            succeeded = scrape.page.own("collector_last_success_timestamp_seconds", collector=name)
            if (
                name not in seen.touched
                and made - succeeded > limit
                and seen.before.own("collector_up", collector=name)
            ):
                yield f"X2: {name} was not touched, but its last success was {made - succeeded:.2f} s old"


def _told(seen: Observed) -> Iterator[str]:
    for name, reasons in seen.touched.items():
        down = [page for page in seen.during if page.get("platform_exporter_collector_up", collector=name) == 0.0]
        if not down:
            yield f"X3: {name} was never seen down"
            continue
        for page in down:
            if shown := page.belonging_to(name):
                yield f"X3: {name} is down and shows {shown[0]}"
        yield from _counted(name, reasons, seen.before, down[0], down[-1])


def _counted(name: str, reasons: frozenset[str], before: Page, first: Page, last: Page) -> Iterator[str]:
    for reason in reasons:
        if not _errors(last, name, reason) - _errors(before, name, reason):
            yield f"X3: {name} has no error with reason {reason}"
    known = sum(_errors(last, name, reason) - _errors(before, name, reason) for reason in reasons)
    grown = last.total("platform_exporter_collector_errors_total", collector=name) - before.total(
        "platform_exporter_collector_errors_total", collector=name
    )
    if grown != known:
        yield f"X3: {name} has errors with other reasons than {sorted(reasons)}"
    ended = sum(last.own("collector_outcomes_total", collector=name, outcome=bad) for bad in _BAD) - sum(
        before.own("collector_outcomes_total", collector=name, outcome=bad) for bad in _BAD
    )
    if ended != grown:
        yield f"X3: {name} failed {ended:g} times and has {grown:g} errors"
    # In ticks and not in cycles: a reload brings extra ones, in which nobody runs.
    ticks = last.own("collector_duration_seconds_count", collector="well") - first.own(
        "collector_duration_seconds_count", collector="well"
    )
    errors = last.total("platform_exporter_collector_errors_total", collector=name) - first.total(
        "platform_exporter_collector_errors_total", collector=name
    )
    if abs(errors - ticks) > 1:
        yield f"X3: {name} has {errors:g} errors in {ticks:g} ticks"


def _errors(page: Page, name: str, reason: str) -> float:
    return page.own("collector_errors_total", collector=name, reason=reason)


def _logged(seen: Observed) -> Iterator[str]:
    log = seen.daemon.log()
    for word in ("Traceback", "Task exception was never retrieved", "was never awaited"):
        if word in log:
            yield f"X4: {word} in the log"
    for name, reasons in seen.touched.items():
        lines = seen.daemon.log_lines("collector failed", f"collector={name} ", start=seen.log_start)
        if not lines:
            yield f"X4: nothing says that {name} failed"
        for reason in reasons:
            if len([line for line in lines if f"reason={reason} " in f"{line} "]) > 1:
                yield f"X4: {name} failing with {reason} is said more than once"
        if any("level=warn" not in line or "duration=" not in line for line in lines):
            yield f"X4: a line about {name} lacks level or duration"
        recovered = seen.daemon.log_lines("collector recovered", f"collector={name} ", start=seen.log_start)
        if len(recovered) != 1 or "level=info" not in recovered[0]:
            yield f"X4: {name} recovering is said {len(recovered)} times"
    about = seen.daemon.log_lines('msg="collector ', start=seen.log_start)
    for line in about:
        if not any(f"collector={name} " in line for name in seen.touched):
            yield f"X4: others: a line about a collector that was not touched: {line}"


def _recovered(seen: Observed) -> Iterator[str]:
    yield from seen.late_recoveries


def _given_back(seen: Observed) -> Iterator[str]:
    before, after = seen.vitals_before, seen.vitals_after
    if after is None:
        yield "X6: the process is gone"
        return
    for what, grace in (("rss", RSS_GRACE), ("fds", COUNT_GRACE), ("threads", COUNT_GRACE), ("children", 0.0)):
        had, has = getattr(before, what), getattr(after, what)
        if has > max(had * 1.05, had + grace):
            yield f"X6: {what} grew from {had:.1f} to {has:.1f}"


def _ready(seen: Observed) -> Iterator[str]:
    yield from (breach for breach in seen.sampler.breaches if breach.startswith("X7"))


def _on_time(seen: Observed) -> Iterator[str]:
    held_up = seen.sampler.held_up
    limits = {"event_loop_lag_seconds": LAG, "collection_duration_seconds": seen.timeout + CYCLE_GRACE}
    for name, limit in limits.items():
        late = _above(seen.last, name, limit + held_up) - _above(seen.before, name, limit + held_up)
        if late:
            yield f"X9: {name} was above {limit} s {late:g} times, a bystander was held up for {held_up:.2f} s"


def _above(page: Page, name: str, limit: float) -> float:
    """How many observations were above the first bucket that holds the limit."""
    buckets = page.series(f"platform_exporter_{name}_bucket")
    bounds = {float(dict(labels)["le"]): count for labels, count in buckets.items()}
    return bounds[float("inf")] - bounds[min(bound for bound in bounds if bound >= limit)]


def _whole(seen: Observed) -> Iterator[str]:
    yield from seen.sampler.mixed()
