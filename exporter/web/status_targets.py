"""The targets on the status page: how each is, and where it was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from exporter.model.snapshot import Snapshot
from exporter.publishing.health import TargetHealth
from exporter.publishing.refresh import DiscoveryDetail
from exporter.publishing.statistics import ScoreDetail
from exporter.publishing.verdict import HealthState
from exporter.web.figures import NOT_KNOWN, Now, duration, expiry, icon, moment, rate, word
from exporter.web.markup import Child, Html, join, tag
from exporter.web.status_score import delivery, strays
from exporter.web.summary import Level, score_of, target_level

# Beyond this the page is of no use to a person, and making it holds up a scrape. The ones that are well are left out.
SHOWN_TARGETS = 200
_DELIVERY = "Delivery"
_COLUMNS = ("Target", "State", _DELIVERY, "Success rate", "Latency", "Last probe", "Certificate ends")


def targets_section(snapshot: Snapshot, targets: Sequence[TargetHealth], now: Now) -> Html:
    """All targets of a snapshot, the worst first."""
    if not targets:
        nothing = tag("p", "No targets are being watched.", class_="empty")
        return tag("section", tag("h2", "Targets"), nothing, class_="targets")
    standing = score_of(snapshot)
    places = _places(snapshot)
    columns = tuple(column for column in _COLUMNS if standing is not None or column != _DELIVERY)
    rows = [_target(target, places.get(target.name, ""), standing, columns, now) for target in targets[:SHOWN_TARGETS]]
    left_out = len(targets) - len(rows)
    return tag(
        "section",
        tag("h2", "Targets"),
        _proportions(targets),
        _table(columns, rows),
        tag("p", f"{left_out} more are not shown here; all are in the metrics.", class_="empty") if left_out else None,
        strays(standing) if standing is not None else None,
        class_="targets",
    )


def _target(target: TargetHealth, place: str, standing: ScoreDetail | None, columns: Sequence[str], now: Now) -> Html:
    level = target_level(target)
    state = tag("span", icon(level), target.state if target.enabled else "disabled", class_=f"state {word(level)}")
    delivered = [] if standing is None else [delivery(standing.targets.get(target.name), now)]
    cells = (
        join(state, _why(target, now)),
        *delivered,
        rate(target.success_rate),
        duration(target.latency),
        moment(target.last_probe, now.wall),
        expiry(target.tls_expiry, now.wall),
    )
    # On a narrow screen the row becomes a card and a cell says itself what it is.
    told = [
        tag("td", cell, data_label=column, class_="none" if cell == NOT_KNOWN else None)
        for column, cell in zip(columns[1:], cells, strict=True)
    ]
    name = join(
        tag("strong", target.name),
        tag("small", f"{target.type} · {target.shown}"),
        tag("small", f"{target.origin} {place}".rstrip()),
    )
    return tag("tr", tag("th", name, scope="row"), *told, class_=word(level))


def _why(target: TargetHealth, now: Now) -> Html:
    parts: list[Child] = []
    if target.last_reason:
        status = f" {target.last_status}" if target.last_status else ""
        parts.append(f"{target.last_reason}{status}")
    elif target.state is HealthState.DEGRADED:
        parts.append("answers slowly")  # nothing else degrades a target without a reason
    if target.consecutive_failures > 1:
        parts.append(f"{target.consecutive_failures} times in a row")
    if target.retry_at is not None and target.retry_at > now.wall:
        parts.append(join("again ", moment(target.retry_at, now.wall)))
    between = [part for each in parts for part in (" · ", each)][1:]
    return tag("small", *between) if between and target.enabled else Html()


def _places(snapshot: Snapshot) -> Mapping[str, str]:
    detail = snapshot.details.get("discovery")
    return {one.name: one.source for one in detail.targets} if isinstance(detail, DiscoveryDetail) else {}


def _table(columns: Sequence[str], rows: Iterable[Html]) -> Html:
    heads = [tag("th", column, scope="col") for column in columns]
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))


def _proportions(targets: Sequence[TargetHealth]) -> Html:
    count = Counter(map(target_level, targets))
    words = {
        Level.BAD: "unhealthy",
        Level.WARN: "degraded",
        Level.IDLE: "unknown",
        Level.OK: "healthy",
        Level.OFF: "disabled",
    }
    shown = [(level, count[level]) for level in Level if count[level]]
    bars, at = [], 0.0
    for level, number in shown:
        width = 100 * number / len(targets)
        bars.append(tag("rect", x=f"{at:.3f}", width=f"{width:.3f}", height="1", class_=word(level)))
        at += width
    legend = [tag("li", icon(level), tag("b", str(number)), f" {words[level]}") for level, number in shown]
    drawn = tag("svg", *bars, class_="bar", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")
    return tag("div", drawn, tag("ul", *legend, class_="legend"), class_="proportions")
