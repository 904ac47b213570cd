"""A Kubernetes Secret as a target: which layout it has, and the target or why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from exporter.model.reason import Flaw
from exporter.model.target import Target
from exporter.publishing.complaints import Flawed, complaints
from exporter.publishing.document import SecretUrl, TargetDocument, url_complaint
from exporter.publishing.hosts import refused
from exporter.publishing.layouts import DECISIVE_KEYS, ENABLED, Draft, draft, layout
from exporter.publishing.listing import Invalid
from exporter.publishing.payload import Parse
from exporter.publishing.policy import AddressPolicy

ORIGIN = "kubernetes"
MARKS = ("publishing-target", "alert-history.io/target")  # labels that say: this Secret is a target


class _Described(TargetDocument):
    """A target as a Secret describes it: whole, because it may name no file of the daemon's."""

    url: SecretUrl


def read_secret(
    namespace: str,
    name: str,
    data: Mapping[str, str],
    labels: Mapping[str, str],
    policy: AddressPolicy,
    parse: Parse | None = None,
) -> Target | Invalid | None:
    """The target a Secret describes; None if it is not meant to be one. `data` is base64, as the API has it.

    `parse` reads documents that are not JSON; without it such a document is a flaw.
    """
    marks = [labels[mark].strip().lower() for mark in MARKS if mark in labels]
    if any(ENABLED.get(mark) is False for mark in marks):
        return None
    place = f"{namespace}/{name}"
    found = layout(data)
    if found is None:
        nothing = f"none of the keys {', '.join(DECISIVE_KEYS)}"
        return Invalid(ORIGIN, place, Flaw.MISSING, nothing) if marks else None
    try:
        return _judged(draft(found, data, labels, name, parse), place, policy)
    except Flawed as error:
        return Invalid(ORIGIN, place, error.flaw, f"layout {found}: {error.detail}")


def _judged(described: Draft, place: str, policy: AddressPolicy) -> Target:
    wrong = described.complaints
    target = None
    try:
        target = _Described.model_validate(described.values).to_target(ORIGIN, place)
    except ValidationError as error:
        wrong.extend(complaints(error, described.names))
    flaw = Flaw.FIELD if wrong else Flaw.POLICY
    if refusal := _refusal(described.values.get("url"), policy):
        wrong.append(f"{described.names.get('url', 'url')}: refused, {refusal}")
    if target is None or wrong:
        raise Flawed(flaw, "; ".join(dict.fromkeys(wrong)))
    return target


def _refusal(url: object, policy: AddressPolicy) -> str | None:
    return refused(url, policy, ORIGIN) if isinstance(url, str) and not url_complaint(url) else None
