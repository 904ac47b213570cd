"""Whether alerts get out, on the status page: the score, what it is made of, and the signals of each target."""

from __future__ import annotations

from exporter.model.snapshot import Snapshot
from exporter.publishing.score import Basis, Component, ScoreState
from exporter.publishing.signals import Signal, Use
from exporter.publishing.statistics import ScoreDetail, TargetStanding
from exporter.web.figures import NOT_KNOWN, Now, icon, moment, rate, word
from exporter.web.markup import Html, join, tag
from exporter.web.summary import Level, score_of

_LEVELS = {
    ScoreState.HEALTHY: Level.OK,
    ScoreState.DEGRADED: Level.WARN,
    ScoreState.UNHEALTHY: Level.BAD,
    ScoreState.UNKNOWN: Level.IDLE,
}
_BASES = {
    Basis.WINDOW: "in the last hour",
    Basis.LIFETIME: "since the services were started",
    Basis.NOW: "now",
}
_STEPS = {
    Signal.RESOLVE: ("name", "the name resolves"),
    Signal.CONNECT: ("connect", "it takes connections"),
    Signal.TLS: ("TLS", "its certificate is valid"),
    Signal.ANSWER: ("answer", "it answers a probe well"),
    Signal.PUBLISH: ("publish", "the last delivery succeeded"),
}


def score_section(snapshot: Snapshot) -> Html | None:
    """The score; nothing as long as nothing is known of it."""
    standing = score_of(snapshot)
    if standing is None or standing.score.score is None:
        return None
    score = standing.score
    level = _LEVELS[score.status]
    state = tag("span", icon(level), score.status, class_=f"state {word(level)}")
    tiles = [_component(name, component) for name, component in score.components.items()]
    return tag(
        "section",
        tag("h2", "Score"),
        tag("p", tag("b", f"{score.score:.1f}"), " of 100 ", state, class_="score"),
        tag("ul", *tiles, class_="tiles"),
        _jobs(standing),
        class_="scores",
    )


def _component(name: str, component: Component) -> Html:
    value = "no data" if component.value is None else rate(component.value)
    weight = f"{100 * component.weight:.3g} % of the score"
    about = f"{weight}, {_BASES[component.basis]}" if component.basis else weight
    return tag("li", tag("p", tag("strong", name), tag("span", value)), tag("small", about))


def _jobs(standing: ScoreDetail) -> Html | None:
    jobs = standing.system.jobs
    if not jobs.finished:
        return None
    queue = standing.system.queue_size
    waiting = "" if queue is None else f", {queue:.0f} waiting"
    text = f"{jobs.succeeded:.0f} deliveries succeeded and {jobs.failed:.0f} failed since the services were started"
    return tag("p", f"{text}{waiting}.", class_="empty")


def delivery(target: TargetStanding | None, now: Now) -> Html:
    """The steps of a delivery to a target, and the last one."""
    if target is None or not (target.signals or target.last.times() or target.use is Use.UNUSED):
        return NOT_KNOWN
    steps = tag("ul", *[_step(target, signal) for signal in Signal], class_="signals")
    return join(steps if target.signals else Html(), _last(target, now))


def _step(target: TargetStanding, signal: Signal) -> Html:
    name, meaning = _STEPS[signal]
    yes = target.signals.get(signal)
    level = Level.OFF if yes is None else Level.OK if yes else Level.BAD
    said = {True: "yes", False: "no", None: "not known"}[yes]
    hidden = tag("span", f": {said}", class_="unseen")
    return tag("li", icon(level), name, hidden, class_=word(level), title=f"{meaning}: {said}")


def _last(target: TargetStanding, now: Now) -> Html:
    last = target.last
    if last.succeeded is False and last.failure is not None:
        return tag("small", "failed ", moment(last.failure, now.wall))
    if last.success is not None:
        return tag("small", "delivered ", moment(last.success, now.wall))
    if target.use is Use.UNUSED:
        return tag("small", "no service publishes here")
    return Html()


def strays(standing: ScoreDetail) -> Html | None:
    """What is published to without being watched."""
    names = [target.name for target in standing.targets.values() if target.use is Use.UNCONFIGURED]
    if not names:
        return None
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return tag("p", f"Published to, and not configured here: {shown}.", class_="empty")
