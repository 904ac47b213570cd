"""Upstream labels to ours: renamed, mapped, and never a credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from exporter.model.metric import Family, Key
from exporter.publishing.dialects.mapping import Rule

_DIGEST = 6  # bytes: enough to tell keys apart, and far too few to tell what they are


@dataclass(frozen=True, slots=True)
class Labelling:
    """What holds for every rule of a service: how its targets are called here, and the key of the hashes."""

    targets: Mapping[str, str] = field(default_factory=dict)
    hash_key: bytes = field(default=b"", repr=False)

    def key(self, rule: Rule, family: Family, theirs: Mapping[str, str]) -> Key | None:
        """The values of the family's labels; None if the rule does not take this series."""
        if any(theirs.get(label, "") not in values for label, values in rule.where.items()):
            return None
        return tuple([self._value(rule, label, theirs) for label in family.labels])

    def _value(self, rule: Rule, label: str, theirs: Mapping[str, str]) -> str:
        if label in rule.constant:
            return rule.constant[label]
        value = theirs.get(rule.labels.get(label, label)) or rule.default.get(label, "")
        value = rule.values.get(label, {}).get(value, value)
        if label in rule.hashed:
            return self._hashed(value)
        if label in rule.address:
            return _origin(value)
        return self.targets.get(value, value) if label == "target" else value

    def _hashed(self, value: str) -> str:
        if not value:
            return ""
        return blake2b(value.encode(), digest_size=_DIGEST, key=self.hash_key[:64]).hexdigest()


def _origin(url: str) -> str:
    """Scheme, host and port of a URL: the rest may hold a token, as may all of what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "unknown"
    if not host or not parts.scheme:
        return "unknown" if url else ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
