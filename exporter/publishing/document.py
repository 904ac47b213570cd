"""A publishing target as an operator writes it: checked as a whole, so that every mistake is told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from exporter.model.secret import Secret
from exporter.model.target import Target

TargetType = Literal["rootly", "pagerduty", "slack", "webhook"]
Format = Literal["alertmanager", "rootly", "pagerduty", "slack", "webhook"]

TYPES: tuple[TargetType, ...] = get_args(TargetType)
FORMATS: Mapping[str, tuple[Format, ...]] = {  # the first is the default
    "rootly": ("rootly",),
    "pagerduty": ("pagerduty",),
    "slack": ("slack",),
    "webhook": ("webhook", "alertmanager"),
}

# Paths of the API stand beside the names of targets: `/targets/health` would hide a target of that name.
RESERVED_NAMES = frozenset({"health", "stats", "refresh", "status"})

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_UNSEEN = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


def url_complaint(url: str, *, login: bool = False) -> str:
    """What is wrong with a URL, in words that quote none of it; empty if nothing is. `login` allows user:password@."""
    if _UNSEEN.search(url):
        return "the url holds a space or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the url has a host or port that is not legal"
    if parts.scheme not in ("http", "https"):
        return "the url must begin with http:// or https://"
    if not parts.hostname:
        return "the url names no host"
    if "@" in parts.netloc and not login:
        return "the url must not carry a user or password; use headers"
    if port == 0:
        return "the url has a host or port that is not legal"
    return ""


def header_complaint(value: str) -> str:
    """Why a text cannot be the value of a header, in words that quote none of it; empty if it can."""
    if not value.strip():
        return "the header is empty"
    return "" if value.isprintable() else "the header holds a line break or another character that cannot be sent"


def _secret(complaint: Callable[[str], str]) -> PlainValidator:
    """Checks a text and wraps it; what is wrong is told without quoting any of it."""

    def wrap(value: object) -> Secret:
        if not isinstance(value, str):
            raise ValueError("expected a string")
        if wrong := complaint(value):
            raise ValueError(wrong)
        return Secret(value)

    return PlainValidator(wrap)


_SCHEMA = WithJsonSchema({"type": "string", "writeOnly": True})
SecretUrl = Annotated[Secret, _secret(url_complaint), PlainSerializer(str), _SCHEMA]
SecretHeader = Annotated[Secret, _secret(header_complaint), PlainSerializer(str), _SCHEMA]


class TargetDocument(BaseModel):
    """One target; `url_file` and `headers_file` name files that hold the secret instead.

    The order of the fields matters: a check that involves two of them stands at the later one, so that it is made
    even if other fields are wrong.
    """

    # The strings of a document may be secrets: an error never shows its input.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    name: str
    type: TargetType
    format: Format | None = Field(default=None, validate_default=True, description="by default what suits the type")
    url_file: str | None = None
    url: SecretUrl | None = Field(default=None, validate_default=True)
    enabled: bool = True
    headers: dict[str, SecretHeader] = {}
    headers_file: dict[str, str] = {}
    filter_config: dict[str, Any] = {}

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if len(name) > 63 or not _NAME.match(name):
            raise ValueError("expected 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")
        if name in RESERVED_NAMES:
            raise ValueError(f"a target cannot be named any of {', '.join(sorted(RESERVED_NAMES))}")
        return name

    @field_validator("format")
    @classmethod
    def _format(cls, chosen: Format | None, info: ValidationInfo) -> Format | None:
        allowed = FORMATS.get(info.data.get("type", ""))
        if allowed is None:  # the type is wrong, which is told there
            return chosen
        if chosen is None:
            return allowed[0]
        if chosen not in allowed:
            raise ValueError(f"a target of this type takes the format {' or '.join(allowed)}")
        return chosen

    @field_validator("url")
    @classmethod
    def _one_url(cls, url: Secret | None, info: ValidationInfo) -> Secret | None:
        file_is_sound = "url_file" in info.data
        if file_is_sound and (url is None) == (info.data["url_file"] is None):
            raise ValueError("exactly one of url, url_file is needed")
        return url

    @field_validator("headers", "headers_file")
    @classmethod
    def _header_names(cls, headers: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        taken = {name.lower() for name in info.data.get("headers", {})}
        for name in headers:
            if not _HEADER_NAME.match(name):
                raise ValueError("a header has a name that is not legal")
            if name.lower() in taken:
                raise ValueError("a header is given twice; case does not matter in their names")
            taken.add(name.lower())
        return headers

    def to_target(self, origin: str, source: str) -> Target:
        """The target this document describes, once its files have been read into `url` and `headers`."""
        if self.url is None or self.headers_file:
            raise ValueError("the files of the document have not been read")
        return Target(
            name=self.name,
            type=self.type,
            format=cast(Format, self.format),
            url=self.url,
            enabled=self.enabled,
            headers=self.headers,
            filter_config=self.filter_config,
            origin=origin,
            source=source,
        )
