"""The kinds of values a configuration holds beyond text, numbers and booleans.

A message raised here is shown to the operator as it stands and never quotes the value: that may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from exporter.model.metric import LABEL_NAME
from exporter.model.secret import MASK, Secret
from exporter.publishing.canary import ID_LABEL
from exporter.publishing.document import url_complaint

_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = "".join(f"(?:([0-9]{{1,10}}){unit})?" for unit in _UNITS)
_DURATION_PATTERN = "^(?=.)" + "".join(f"([0-9]{{1,10}}{unit})?" for unit in _UNITS) + "$"
_DURATION_EXAMPLE = "expected a duration such as 15s or 5m"
_LONGEST = 100 * _UNITS["y"]


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `500ms` or `1h30m`; units may not repeat and go from large to small."""
    match = re.fullmatch(_DURATION, text)
    if match is None or not text:
        raise ValueError("a duration must be longer than zero" if text.startswith("-") else _DURATION_EXAMPLE)
    # Whole milliseconds until the end: 0.1 + 0.2 would make equal durations differ.
    total = sum(int(count) * size for count, size in zip(match.groups("0"), _UNITS.values(), strict=True))
    if not total:
        raise ValueError("a duration must be longer than zero")
    if total > _LONGEST:
        raise ValueError("a duration must not be longer than 100 years")
    return total / 1000


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as these seconds, to the millisecond."""
    rest = round(seconds * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _duration(value: Any, info: ValidationInfo) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Code may state seconds; in a file a bare number leaves the reader guessing whether it means ms or s.
    if number and info.mode == "python" and value > 0:
        return float(value)
    raise ValueError("a duration needs a unit, such as 15s or 5m" if number else _DURATION_EXAMPLE)


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")
    if not value:
        raise ValueError("must not be empty")
    return Secret(value)


_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")


def listen_address(value: Any) -> str:
    """An address to listen on, as it was written."""
    if not isinstance(value, str):
        raise ValueError("expected an address such as 127.0.0.1:9847, :9847 or '[::1]:9847' (quote the last)")
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("expected an address with a port from 0 to 65535, such as 127.0.0.1:9847 or :9847")
    if host.startswith("[") and host.endswith("]") and _is_address(host[1:-1], 6):
        return value
    if ":" in host:
        raise ValueError("an IPv6 address stands in brackets, such as [::1]:9847")
    if host and not _HOST_NAME.fullmatch(host):
        raise ValueError("the host of the address is not valid")
    return value


def _is_address(text: str, version: int) -> bool:
    try:
        return ip_address(text).version == version
    except ValueError:
        return False


def _network(value: Any) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a network such as 10.0.0.0/8, or an address")
    # The texts of the standard library's exceptions quote the value.
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError("expected a network such as 10.0.0.0/8, or an address") from None
    raise ValueError("the address has bits beyond the network's prefix: write the first address of the network")


def _metric_prefix(value: str) -> str:
    # Colons would be legal, but they belong to recording rules.
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", value):
        raise ValueError("expected the beginning of a metric name: letters, digits and _, not beginning with a digit")
    return value


_TAKEN = re.compile(r"/(-|api|sd|system)(/.*)?|/events|/openapi\.json")


def url_path(value: str) -> str:
    """A path that no page of ours has taken."""
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", value):
        raise ValueError("expected a path such as /metrics")
    if _TAKEN.fullmatch(value):
        raise ValueError("this path is taken by another page")
    return value


def _service_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", value):
        raise ValueError("expected 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")
    return value


def service_url(value: str) -> str:
    """The URL of a service, to which the path of its metrics is added."""
    if wrong := url_complaint(value) or ("the url must have no query" if "?" in value or "#" in value else ""):
        raise ValueError(wrong)
    return value


def _request_path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value) or "#" in value:
        raise ValueError("expected a path such as /metrics")
    return value


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    # Checked here, because a minimum in the type would count only the entries that are legal.
    if not values:
        raise ValueError("needs at least one entry")
    return values


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("an entry is given twice")
    return values


def _canary_token(value: Any) -> Secret:
    if isinstance(value, str) and not re.fullmatch(r"[!-~]{16,1024}", value):
        raise ValueError("expected 16 to 1024 characters of ASCII without spaces")
    return _secret(value)


def _canary_labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        if not LABEL_NAME.match(name) or name.startswith("__"):
            raise ValueError("a label has a name that is not legal")
        if name == ID_LABEL:
            raise ValueError(f"the label {ID_LABEL} is given to each canary by itself")
        if not value:
            raise ValueError("a label has no value")
    return labels


def _text_schema(description: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, **more})


@dataclass(frozen=True, slots=True)
class Located:
    """Marks text that names a file from the folder of the configuration; with `glob`, or any number of files."""

    glob: bool = False


def _namespaced(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", value):
        raise ValueError("expected namespace/name")
    return value


Duration = Annotated[
    float,
    PlainValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    _text_schema("a duration such as 500ms, 15s or 1h30m", pattern=_DURATION_PATTERN),
]
SecretText = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(lambda _: MASK, return_type=str),
    WithJsonSchema({"type": "string", "writeOnly": True}),
]
CanaryToken = Annotated[
    Secret,
    PlainValidator(_canary_token),
    PlainSerializer(lambda _: MASK, return_type=str),
    WithJsonSchema({"type": "string", "writeOnly": True}),
]
CanaryLabels = Annotated[dict[str, str], AfterValidator(_canary_labels)]
ListenAddress = Annotated[
    str, PlainValidator(listen_address), _text_schema("host:port, :port or [IPv6]:port", pattern=":[0-9]{1,5}$")
]
Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(_network),
    PlainSerializer(str, return_type=str),
    _text_schema("a network such as 10.0.0.0/8, or an address"),
]
ListenAddresses = Annotated[
    tuple[ListenAddress, ...],
    AfterValidator(_not_empty),
    AfterValidator(_distinct),
    Field(json_schema_extra={"minItems": 1}),
]
Names = Annotated[tuple[str, ...], AfterValidator(_distinct)]
FileName = Annotated[str, Located()]
FilePattern = Annotated[str, Located(glob=True)]
SecretName = Annotated[str, AfterValidator(_namespaced)]
MetricPrefix = Annotated[str, AfterValidator(_metric_prefix)]
UrlPath = Annotated[str, AfterValidator(url_path)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
RequestPath = Annotated[str, AfterValidator(_request_path)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
LogLevel = Literal["debug", "info", "warn", "error"]
LogFormat = Literal["logfmt", "json"]
