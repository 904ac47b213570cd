"""Twenty Secrets broken in twenty ways, each with the flaw it must be reported with.

Wherever a value can stand, the canary stands in it: a report of these Secrets must never hold it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.model.reason import Flaw

CANARY = "c4n4ry"
LABELS: Mapping[str, str] = {"publishing-target": "true"}
GOOD: dict[str, Any] = {"name": "ops", "type": "webhook", "url": f"https://hooks.example.org/{CANARY}"}


@dataclass(frozen=True)
class Broken:
    """A Secret that gives no target; `data` is base64, as the API has it. `told` stands in the report."""

    name: str
    data: Mapping[str, str]
    flaw: Flaw
    told: str


def encoded(data: Mapping[str, str | bytes]) -> dict[str, str]:
    """Data of a Secret as the API has it."""
    raw = {key: value.encode() if isinstance(value, str) else value for key, value in data.items()}
    return {key: b64encode(value).decode() for key, value in raw.items()}


def _config(value: str | bytes) -> dict[str, str]:
    return encoded({"config": value})


def _object(**changed: Any) -> dict[str, str]:
    document = {key: value for key, value in (GOOD | changed).items() if value is not ...}
    return _config(json.dumps(document))


_TEXT = json.dumps(GOOD)
_FIELDS = {"type": "webhook", "url": f"https://hooks.example.org/{CANARY}"}
_HELM = {"target-name": "ops", "webhook-url": f"https://hooks.example.org/{CANARY}", "format": "slack"}

BROKEN = (
    Broken("no-key", encoded({"password": CANARY}), Flaw.MISSING, "none of the keys config, target.json"),
    Broken("empty", _config(""), Flaw.MISSING, "empty"),
    Broken("no-base64", {"config": f"%{CANARY}%"}, Flaw.ENCODING, "not base64"),
    Broken("base64-of-no-text", _config(b64encode(b"\xff\xfe" + _TEXT.encode())), Flaw.ENCODING, "not UTF-8"),
    Broken("utf-16", _config(_TEXT.encode("utf-16-le")), Flaw.ENCODING, "UTF-16"),
    Broken("half", _config(_TEXT[:-20]), Flaw.SYNTAX, "not JSON: line 1, column"),
    Broken("list", _config(f"[{_TEXT}]"), Flaw.SYNTAX, "expected one object"),
    Broken("nan", _object(filter_config={CANARY: float("nan")}), Flaw.SYNTAX, "NaN"),
    Broken("twice", _config(f'{_TEXT[:-1]}, "url": "https://h/{CANARY}"}}'), Flaw.SYNTAX, "a key is given twice"),
    Broken("huge", _object(filter_config={"x": CANARY * (1 << 18)}), Flaw.SYNTAX, "larger than"),
    Broken("deep", _config('{"a":' * 10_000 + "1" + "}" * 10_000), Flaw.SYNTAX, "nested deeper"),
    Broken("no-name", _object(name=...), Flaw.FIELD, "name: required and not given"),
    Broken("reserved-name", _object(name="health"), Flaw.FIELD, "name: a target cannot be named any of"),
    Broken("no-type-of-ours", _object(type=CANARY), Flaw.FIELD, "type: expected 'rootly'"),
    Broken("format-of-another-type", encoded(_HELM | {"type": "rootly"}), Flaw.FIELD, "format: a target of this type"),
    Broken("enabled-perhaps", encoded(_FIELDS | {"enabled": CANARY}), Flaw.FIELD, "enabled: expected true or false"),
    Broken(
        "file-url",
        encoded({"target.json": json.dumps(GOOD | {"url": f"file:///{CANARY}"})}),
        Flaw.FIELD,
        "layout target.json: url: the url must begin with http",
    ),
    Broken("header-of-two-lines", _object(headers={CANARY: f"{CANARY}\n"}), Flaw.FIELD, "headers: the header holds"),
    Broken(
        "metadata", _object(url=f"http://169.254.169.254/{CANARY}"), Flaw.POLICY, "url: refused, a metadata service"
    ),
    Broken(
        "loopback",
        encoded(_HELM | {"webhook-url": f"http://2130706433/{CANARY}"}),
        Flaw.POLICY,
        "layout helm: webhook-url: refused, an address inside",
    ),
)
