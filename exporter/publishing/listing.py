"""What one look at an origin of targets found, and how the findings of several become one set of targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporter.model.reason import Flaw
from exporter.model.target import Target

# Whom to believe if two define the same name: what an operator wrote nearest to the daemon.
ORIGINS = ("static", "file", "alertmanager", "kubernetes")


@dataclass(frozen=True, slots=True)
class Invalid:
    """A document that gives no target. `document` is its place (`namespace/secret`, `file.yaml[2]`), never its content.

    `detail` is a text of our own that quotes nothing of the document.
    """

    origin: str
    document: str
    flaw: Flaw
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything one origin had at one moment.

    `skipped` counts documents that are not meant to be targets; `integrations` how many integrations each receiver
    has, 0 for one where alerts vanish; `seconds` how long the steps of the listing took, of an origin that tells.
    """

    origin: str
    targets: tuple[Target, ...] = ()
    invalid: tuple[Invalid, ...] = ()
    skipped: int = 0
    integrations: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """All origins together: one target a name, and every document that gives none."""

    targets: tuple[Target, ...] = ()
    invalid: tuple[Invalid, ...] = ()
    skipped: int = 0
    integrations: Mapping[str, int] = field(default_factory=dict)


def merge(listings: Iterable[Listing]) -> Merged:
    """One set of targets; of two with one name the first in the order of origins and places wins, the other is told."""
    ordered = sorted(listings, key=lambda listing: ORIGINS.index(listing.origin))
    winners: dict[str, Target] = {}
    invalid: list[Invalid] = []
    integrations: dict[str, int] = {}
    for listing in ordered:
        invalid.extend(listing.invalid)
        integrations.update(listing.integrations)
        for target in sorted(listing.targets, key=lambda target: target.source):
            winner = winners.setdefault(target.name, target)
            if winner is not target:
                detail = f"the target {target.name} is defined by {winner.origin} {winner.source}".rstrip()
                invalid.append(Invalid(target.origin, target.source, Flaw.DUPLICATE, detail))
    return Merged(
        targets=tuple(winners.values()),
        invalid=tuple(invalid),
        skipped=sum(listing.skipped for listing in ordered),
        integrations=integrations,
    )
