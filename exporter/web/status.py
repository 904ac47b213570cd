"""The page for people: what is wrong, how the targets are, how the collectors did. Readable without script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

from exporter.model.snapshot import Record, Snapshot
from exporter.publishing.health import TargetHealth
from exporter.web.answers import headers
from exporter.web.figures import Now, duration, favicon, icon, moment, word
from exporter.web.markup import Child, Html, join, tag
from exporter.web.route import Answer, Route
from exporter.web.site import Site
from exporter.web.status_score import score_section
from exporter.web.status_sources import sources_section
from exporter.web.status_targets import targets_section
from exporter.web.summary import Summary, record_level, summarise, targets_of

MEDIA = "text/html; charset=utf-8"

_ASSETS = files("exporter.web") / "assets"


def _asset(name: str) -> Html:
    return Html((_ASSETS / name).read_text("utf-8"))


def _hash(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"


_STYLE, _SCRIPT, _ICONS = _asset("status.css"), _asset("status.js"), _asset("icons.svg")
_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src {_hash(_STYLE)}",
        f"script-src {_hash(_SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = headers(MEDIA, Content_Security_Policy=_POLICY)


def routes(site: Site) -> list[Route]:
    return [
        Route(
            path="/",
            name="status",
            summary="The status page: what a person on call wants to know at a glance.",
            handler=_Status(site).serve,
            answers={200: Answer("the page", (MEDIA,))},
        )
    ]


class _Status:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._shown: Snapshot | None = None
        self._second = 0
        self._page = b""

    async def serve(self, request: web.BaseRequest) -> web.Response:
        snapshot, clock = self._site.feed.current(), self._site.clock
        now = Now(clock.monotonic(), clock.wall())
        # Every open page asks for this one as soon as there is a new snapshot.
        if snapshot is not self._shown or int(now.wall) != self._second:
            self._shown, self._second = snapshot, int(now.wall)
            self._page = render(self._site, snapshot, now).encode()
        return web.Response(body=self._page, headers=_HEADERS)


def render(site: Site, snapshot: Snapshot | None, now: Now) -> str:
    targets = targets_of(snapshot) if snapshot else ()
    summary = summarise(snapshot, targets, now.monotonic)
    head = join(
        tag("meta", charset="utf-8"),
        tag("title", f"{summary.headline.text} · platform-exporter"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href=favicon(summary.headline.level)),
        tag("style", _STYLE),
    )
    main = tag(
        "main",
        _headline(summary, snapshot, now),
        *(() if snapshot is None else _sections(snapshot, targets, now)),
        data_snapshot=snapshot.id if snapshot else 0,
        data_now=f"{now.wall:.3f}",
    )
    body = tag("body", _ICONS, _masthead(site), main, _footer(site), tag("script", _SCRIPT))
    return "<!doctype html>\n" + tag("html", tag("head", head), body, lang="en")


def _sections(snapshot: Snapshot, targets: Sequence[TargetHealth], now: Now) -> tuple[Html | None, ...]:
    return (
        _collectors(snapshot, now),
        score_section(snapshot),
        targets_section(snapshot, targets, now),
        sources_section(snapshot, now),
    )


def _masthead(site: Site) -> Html:
    link = tag("p", tag("span", class_="dot"), tag("span", "connecting"), id="link", role="status", hidden=True)
    without = tag("noscript", tag("p", "Reload the page for newer figures.", class_="quiet"))
    return tag("header", tag("p", tag("b", "platform-exporter"), tag("small", site.version)), link, without)


def _footer(site: Site) -> Html:
    # Relative, so that they hold behind a prefix and a proxy.
    places = [
        (site.telemetry_path[1:], "Metrics"),
        ("openapi.json", "API description"),
        ("-/healthy", "Health"),
        ("-/ready", "Readiness"),
    ]
    return tag("footer", tag("nav", *[tag("a", name, href=place) for place, name in places], aria_label="More"))


def _headline(summary: Summary, snapshot: Snapshot | None, now: Now) -> Html:
    others = [tag("li", icon(clause.level), clause.text) for clause in summary.others]
    return tag(
        "section",
        icon(summary.headline.level),
        tag(
            "div",
            tag("h1", summary.headline.text, aria_live="polite"),
            tag("ul", *others) if others else None,
            None if snapshot is None else _about(snapshot, now),
        ),
        class_=f"headline {word(summary.headline.level)}",
    )


def _about(snapshot: Snapshot, now: Now) -> Html:
    took = f" · collected in {duration(snapshot.duration)}"
    return tag("p", f"Snapshot {snapshot.id} · ", moment(snapshot.wall, now.wall), took, class_="quiet")


def _collectors(snapshot: Snapshot, now: Now) -> Html:
    records = sorted(snapshot.records.values(), key=record_level)
    tiles = [_collector(record, now) for record in records]
    content = tag("ul", *tiles, class_="tiles") if tiles else tag("p", "No collector is enabled.", class_="empty")
    return tag("section", tag("h2", "Collectors"), content, class_="collectors")


def _collector(record: Record, now: Now) -> Html:
    level = record_level(record)
    lines: list[Child] = []
    if record.started is not None:
        lines.append(join("took ", duration(record.duration), ", ran ", moment(record.started, now.wall)))
    # The outcome is told already: a reason of the same word adds nothing.
    why = ": ".join(part for part in (record.reason, record.detail) if part and part != record.outcome)
    if why:
        lines.append(why)
    if not record.outcome.up and record.last_success is not None:
        lines.append(join("last success ", moment(record.last_success, now.wall)))
    state = tag("span", icon(level), record.outcome, class_=f"state {word(level)}")
    head = tag("p", tag("strong", record.collector), state)
    return tag("li", head, *[tag("small", line) for line in lines], class_=word(level))
