"""How single values look on the page: shapes for levels, times as people say them, and what is not known."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from exporter.web.markup import Html, join, tag
from exporter.web.summary import Level

SOON = 14 * 86400.0  # a certificate that ends within this time is pointed out
# A receiver may ask to be left alone for a billion years: the calendar ends before that.
_LAST = 253_402_300_799.0
_COLOURS = {Level.BAD: "#c0362c", Level.WARN: "#b7791f", Level.IDLE: "#68768a", Level.OK: "#1a7f4b"}
NOT_KNOWN = tag("span", "\N{EN DASH}", class_="quiet", title="not known")


class Now(NamedTuple):
    """The moment a page tells of, on both clocks."""

    monotonic: float
    wall: float


def rate(percent: float | None) -> Html:
    if percent is None:
        return NOT_KNOWN
    level = Level.OK if percent >= 99.0 else Level.WARN if percent >= 90.0 else Level.BAD
    part = tag("rect", width=f"{percent:.2f}", height="1", class_=word(level))
    drawn = tag("svg", part, class_="bar small", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")
    return join(f"{percent:.1f}".removesuffix(".0") + " %", drawn)


def expiry(wall: float | None, now: float) -> Html:
    if wall is None:
        return NOT_KNOWN
    left = wall - now
    if left > SOON:
        return moment(wall, now)
    level, remark = (Level.WARN, "ends soon") if left > 0 else (Level.BAD, "expired")
    return tag("span", icon(level), moment(wall, now), tag("small", remark), class_=f"expiry {word(level)}")


@cache
def icon(level: Level) -> Html:
    """The shape of a level: a state is never told by its colour alone."""
    used = tag("use", href=f"#i-{word(level)}")
    return tag("svg", used, class_=f"icon {word(level)}", viewBox="0 0 16 16", aria_hidden="true")


def moment(wall: float | None, now: float) -> Html:
    """A time as people say it; the exact one is in the title. The script keeps it right while the page is open."""
    if wall is None:
        return NOT_KNOWN
    wall = min(max(wall, 0.0), _LAST)
    at = datetime.fromtimestamp(wall, UTC)
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return tag("time", relative(now - wall), datetime=at.isoformat(timespec="milliseconds"), title=exact)


def relative(seconds: float) -> str:
    """`12 s ago`, or `in 3 d`. The script of the page has the same rule."""
    size = abs(seconds)
    for unit, length in (("y", 31536000), ("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if size >= length:
            count = f"{int(size // length)} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now"


def duration(seconds: float | None) -> Html:
    if seconds is None:
        return NOT_KNOWN
    for unit, length in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length:
            return join(f"{seconds / length:.3g} {unit}")
    return join(f"{seconds * 1e6:.0f} µs")


def word(level: Level) -> str:
    return level.name.lower()


def favicon(level: Level) -> str:
    circle = f"<circle cx='8' cy='8' r='7' fill='{_COLOURS[level]}'/>"
    drawn = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{circle}</svg>"
    return "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode()
