"""Alertmanager's receivers as targets: one for each integration that sends to an address we can know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.model.reason import Flaw
from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.complaints import Flawed
from exporter.publishing.document import header_complaint, url_complaint
from exporter.publishing.integrations import ENDPOINTS, Contents, Settings, address, headers
from exporter.publishing.listing import Invalid, Listing

ORIGIN = "alertmanager"
_LONGEST_NAME = 200
_SUFFIX = "_configs"
_SHOWABLE_KIND = re.compile(r"[a-z][a-z0-9_]{0,40}")


def read_receivers(values: Mapping[str, Any], source: str, contents: Contents) -> Listing:
    """What an Alertmanager with this configuration sends to.

    `contents` gives the text of a file that the configuration names, and raises `Failure` if it cannot.
    """
    reading = _Reading(source, contents)
    try:
        if not isinstance(values, dict):
            raise Flawed(Flaw.SYNTAX, "expected a mapping (keys with values)")
        shared = Settings(values, contents).section("global") or Settings({}, contents)
        receivers = values.get("receivers")
        if receivers is None:
            raise Flawed(Flaw.MISSING, "receivers: required and not given")
        if not isinstance(receivers, list):
            raise Flawed(Flaw.FIELD, "receivers: expected a list")
    except Flawed as error:
        reading.refuse("", error)
    else:
        for index, receiver in enumerate(receivers):
            reading.receiver(receiver, f"receivers[{index}]", shared)
    return reading.listing()


@dataclass(slots=True)
class _Reading:
    """One pass over a configuration. What is wrong with one integration leaves the others as they are."""

    source: str
    contents: Contents
    targets: list[Target] = field(default_factory=list)
    invalid: list[Invalid] = field(default_factory=list)
    integrations: dict[str, int] = field(default_factory=dict)

    def listing(self) -> Listing:
        return Listing(
            origin=ORIGIN,
            targets=tuple(self.targets),
            invalid=tuple(self.invalid),
            integrations=self.integrations,
        )

    def refuse(self, place: str, error: Flawed) -> None:
        self.invalid.append(Invalid(ORIGIN, f"{self.source} {place}".strip(), error.flaw, error.detail))

    def receiver(self, receiver: object, place: str, shared: Settings) -> None:
        try:
            name = _name(receiver)
            if name in self.integrations:
                raise Flawed(Flaw.DUPLICATE, f"another receiver is named {name}")
        except Flawed as error:
            self.refuse(place, error)
            return
        assert isinstance(receiver, dict)
        self.integrations[name] = 0
        for key, given in receiver.items():
            if isinstance(key, str) and key.endswith(_SUFFIX) and given is not None:
                self._kind(name, key.removesuffix(_SUFFIX), given, shared)

    def _kind(self, name: str, kind: str, given: object, shared: Settings) -> None:
        if kind not in ENDPOINTS:
            self.integrations[name] += len(given) if isinstance(given, list) else 1
            shown = f"{kind}{_SUFFIX}" if _SHOWABLE_KIND.fullmatch(kind) else f"a key that ends in {_SUFFIX}"
            self.refuse(name, Flawed(Flaw.FIELD, f"{shown}: an integration that is not known here"))
        elif not isinstance(given, list):
            self.refuse(name, Flawed(Flaw.FIELD, f"{kind}{_SUFFIX}: expected a list"))
        else:
            self.integrations[name] += len(given)
            for index, values in enumerate(given):
                place = f"{name}/{kind}/{index}"
                try:
                    self.targets.extend(self._target(place, kind, {} if values is None else values, shared))
                except Flawed as error:
                    self.refuse(place, error)

    def _target(self, place: str, kind: str, values: object, shared: Settings) -> Iterator[Target]:
        if not isinstance(values, dict):
            raise Flawed(Flaw.FIELD, "expected a mapping (keys with values)")
        own = Settings(values, self.contents)
        url = address(kind, own, shared)
        if url is None:
            return
        if not url.startswith("smtp://") and (wrong := url_complaint(url, login=True)):
            raise Flawed(Flaw.FIELD, f"{ENDPOINTS[kind].key}: {wrong}")
        credentials = {} if kind == "email" else headers(kind, own, shared)
        if any(map(header_complaint, credentials.values())):
            raise Flawed(Flaw.FIELD, "http_config: a credential that cannot be sent as a header")
        yield Target(
            name=place,
            type=kind,
            format=ORIGIN,
            url=Secret(url),
            headers={header: Secret(text) for header, text in credentials.items()},
            origin=ORIGIN,
            source=self.source,
        )


def _name(receiver: object) -> str:
    if not isinstance(receiver, dict):
        raise Flawed(Flaw.FIELD, "expected a mapping (keys with values)")
    name = receiver.get("name")
    name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    if name is None or name == "":
        raise Flawed(Flaw.MISSING, "name: required and not given")
    if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Flawed(Flaw.FIELD, f"name: expected at most {_LONGEST_NAME} characters that can be shown")
    return name
