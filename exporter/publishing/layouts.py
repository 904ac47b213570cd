"""The four ways a Secret may describe a target, each turned into the values of one target document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from exporter.publishing.complaints import Flawed
from exporter.publishing.document import TYPES
from exporter.publishing.headers import line_of, read_headers
from exporter.publishing.payload import Parse, decoded, document


class Layout(StrEnum):
    """How a Secret describes its target."""

    CONFIG = "config"
    TARGET_JSON = "target.json"
    FIELDS = "fields"
    HELM = "helm"


# Of a Secret that could be read in two ways the first is meant.
_DECISIVE = {
    Layout.CONFIG: ("config",),
    Layout.TARGET_JSON: ("target.json",),
    Layout.HELM: ("webhook-url", "target-name"),
    Layout.FIELDS: ("url", "type"),
}
DECISIVE_KEYS = tuple(key for keys in _DECISIVE.values() for key in keys)

ENABLED = MappingProxyType(
    {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
)

_DOCUMENT_KEYS = ("name", "type", "url", "format", "enabled", "headers", "filter_config")


@dataclass(slots=True)
class Draft:
    """What a Secret says, before it is judged.

    `names` gives the keys as the layout spells them; `complaints` are about what could not be put into a value.
    """

    values: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    names: Mapping[str, str] = field(default_factory=dict)


def layout(data: Mapping[str, str]) -> Layout | None:
    """Which layout the keys of a Secret are; None if they are no target's."""
    return next((name for name, keys in _DECISIVE.items() if any(key in data for key in keys)), None)


def draft(found: Layout, data: Mapping[str, str], labels: Mapping[str, str], name: str, parse: Parse | None) -> Draft:
    """The values of the document that a Secret of this layout and name describes."""
    if found is Layout.HELM:
        result = _from_helm(_Texts(data), labels)
    elif found is Layout.FIELDS:
        result = _from_fields(_Texts(data), name)
    else:
        result = _from_document(document(decoded(data[found]), parse))
    _judge_enabled(result)
    return result


def _judge_enabled(result: Draft) -> None:
    # Absent is not false, and what is neither true nor false must not switch a target on.
    if "enabled" in result.values:
        given = result.values.pop("enabled")
        meant = ENABLED.get(str(given).strip().lower()) if isinstance(given, bool | int | str) else None
        if meant is None:
            result.complaints.append("enabled: expected true or false")
        else:
            result.values["enabled"] = meant


def _from_document(values: Mapping[str, Any]) -> Draft:
    # What is not a key of ours belongs to other readers of the Secret. Files of the daemon are not theirs to name.
    return Draft({key: values[key] for key in _DOCUMENT_KEYS if key in values})


class _Texts:
    """The values of a Secret by key, decoded when asked for; `-` and `_` are the same in the keys we know."""

    def __init__(self, data: Mapping[str, str]) -> None:
        self._data = data
        self._keys = {key.replace("-", "_"): key for key in sorted(data)}

    def get(self, known: str) -> str | None:
        """The text without the line break that a file ends with; None if the key is absent."""
        key = self._keys.get(known)
        return None if key is None else self._text(key)

    def beginning_with(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The rest of each key that begins so, as it is spelled, and its text."""
        for key in sorted(self._data):
            if key.startswith(prefix):
                yield key.removeprefix(prefix), self._text(key)

    def _text(self, key: str) -> str:
        try:
            return decoded(self._data[key]).strip()
        except Flawed as error:
            raise Flawed(error.flaw, f"{key}: {error.detail}") from None


def _from_fields(texts: _Texts, secret_name: str) -> Draft:
    values = {key: texts.get(key) for key in ("name", "type", "url", "format", "enabled")}
    result = Draft({key: text for key, text in values.items() if text is not None})
    result.values.setdefault("name", secret_name)
    written, complaints = read_headers(texts.get("headers") or "")
    result.complaints.extend(complaints)
    _add_headers(result, written, _credentials(texts))
    return result


def _from_helm(texts: _Texts, labels: Mapping[str, str]) -> Draft:
    result = Draft(names={"name": "target-name", "url": "webhook-url"})
    name = texts.get("target_name") or labels.get("alert-history.io/target-name")
    kind = texts.get("type") or labels.get("alert-history.io/target-type") or "webhook"
    form = texts.get("format") or labels.get("alert-history.io/target-format")
    if kind == "webhook" and form in TYPES:  # the vendor stands in the format here
        kind, form = form, None
    given = {"name": name, "type": kind, "format": form, "url": texts.get("webhook_url")}
    result.values.update({key: text for key, text in given.items() if text is not None})
    if (enabled := texts.get("enabled")) is not None:
        result.values["enabled"] = enabled
    _add_headers(result, _helm_headers(texts), _credentials(texts))
    result.values["filter_config"] = _filters(texts)
    return result


def _helm_headers(texts: _Texts) -> Iterator[tuple[str, str]]:
    yield from texts.beginning_with("header-")
    if text := texts.get("auth_header"):
        yield line_of(text) or ("Authorization", text)


def _credentials(texts: _Texts) -> Iterator[tuple[str, str]]:
    # A chart renders what was not set as an empty text.
    for key in ("api_key", "auth_token", "token"):
        if text := texts.get(key):
            yield "Authorization", text if text.lower().startswith("bearer ") else f"Bearer {text}"
    if text := texts.get("routing_key"):
        yield "routing_key", text


def _add_headers(result: Draft, *sources: Iterable[tuple[str, str]]) -> None:
    headers: dict[str, str] = {}
    for name, value in (pair for source in sources for pair in source):
        if name in headers:  # in another spelling it is found with the rest of the document
            result.complaints.append("headers: a header is given twice, maybe by a key for its credential")
        headers[name] = value
    if headers:
        result.values["headers"] = headers


def _filters(texts: _Texts) -> dict[str, Any]:
    lists = {key: texts.get(f"filter_{key}") for key in ("severity", "namespaces")}
    plain = {key: texts.get(key) for key in ("exclude_noise", "min_confidence", "alert_name_pattern")}
    split = {key: [part.strip() for part in text.split(",")] for key, text in lists.items() if text}
    return split | {key: text for key, text in plain.items() if text}
