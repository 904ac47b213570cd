"""Where targets come from, on the status page: when that was looked up, and what could not be used."""

from __future__ import annotations

from exporter.model.snapshot import Snapshot
from exporter.publishing.listing import Invalid
from exporter.publishing.refresh import RefreshDetail, RefreshState, SourceState
from exporter.web.figures import Now, duration, icon, moment, word
from exporter.web.markup import Child, Html, join, tag
from exporter.web.summary import Level, refresh_of

SHOWN_INVALID = 50

_LEVELS = {
    RefreshState.IDLE: Level.IDLE,
    RefreshState.IN_PROGRESS: Level.IDLE,
    RefreshState.SUCCESS: Level.OK,
    RefreshState.FAILED: Level.WARN,
}
_WORDS = {
    RefreshState.IDLE: "not listed yet",
    RefreshState.IN_PROGRESS: "being listed now",
    RefreshState.SUCCESS: "all listed",
    RefreshState.FAILED: "not all listed",
}


def sources_section(snapshot: Snapshot, now: Now) -> Html | None:
    """The sources, the worst first; nothing where nobody tells of them."""
    refresh = refresh_of(snapshot)
    if refresh is None:
        return None
    tiles = [_source(source, now) for source in sorted(refresh.sources, key=_source_level)]
    return tag(
        "section",
        tag("h2", "Sources of targets"),
        _refresh(refresh, now),
        tag("ul", *tiles, class_="tiles") if tiles else None,
        _invalid(refresh.invalid) if refresh.invalid else None,
        class_="sources",
    )


def _refresh(refresh: RefreshDetail, now: Now) -> Html:
    level = _LEVELS[refresh.state]
    parts: list[Child] = [tag("span", icon(level), _WORDS[refresh.state], class_=f"state {word(level)}")]
    if refresh.last_refresh is not None:
        running = refresh.state is RefreshState.IN_PROGRESS
        parts.append(join("began " if running else "", moment(refresh.last_refresh, now.wall)))
    if refresh.duration is not None:
        parts.append(join("took ", duration(refresh.duration)))
    if refresh.consecutive_failures > 1:
        parts.append(f"failed {refresh.consecutive_failures} times in a row")
    if refresh.consecutive_failures and refresh.last_success is not None:
        parts.append(join("last success ", moment(refresh.last_success, now.wall)))
    if refresh.next_refresh is not None:
        parts.append(join("again ", moment(refresh.next_refresh, now.wall)))
    return tag("p", *[part for each in parts for part in (" · ", each)][1:], class_="refresh")


def _source_level(source: SourceState) -> Level:
    if source.reason is not None:
        return Level.WARN
    return Level.IDLE if source.last_success is None else Level.OK


def _source(source: SourceState, now: Now) -> Html:
    level = _source_level(source)
    told = {Level.WARN: "failing", Level.IDLE: "not listed yet", Level.OK: "listed"}[level]
    counts = [f"{source.targets} target{'s' * (source.targets != 1)}"]
    counts += [f"{count} {noun}" for count, noun in ((source.invalid, "invalid"), (source.skipped, "skipped")) if count]
    place = source.name.removeprefix(source.origin).strip()
    lines: list[Child] = [place, ", ".join(counts)] if place else [", ".join(counts)]
    if source.last_success is not None:
        lines.append(join("listed ", moment(source.last_success, now.wall)))
    if source.reason is not None:
        lines.append(": ".join(part for part in (source.reason, source.detail) if part))
    state = tag("span", icon(level), told, class_=f"state {word(level)}")
    head = tag("p", tag("strong", source.origin), state)
    return tag("li", head, *[tag("small", line) for line in lines], class_=word(level))


def _invalid(documents: tuple[Invalid, ...]) -> Html:
    rows = [
        tag("li", tag("strong", one.document or one.origin), tag("small", _why(one)))
        for one in documents[:SHOWN_INVALID]
    ]
    more = None
    if left_out := len(documents) - len(rows):
        whole = tag("a", "the whole list", href="api/v2/publishing/targets/status")
        more = tag("p", f"{left_out} more are not shown here: ", whole, class_="empty")
    return join(tag("h3", "Documents without a valid target"), tag("ul", *rows, class_="invalid"), more)


def _why(one: Invalid) -> str:
    return f"{one.origin} · " + ": ".join(part for part in (one.flaw, one.detail) if part)
