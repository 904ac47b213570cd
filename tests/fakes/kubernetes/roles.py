"""What a manifest permits, in the words of what the server has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Permissions = set[tuple[str, str]]


def manifests(path: Path) -> list[dict[str, Any]]:
    return [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]


def roles(path: Path) -> dict[str, dict[str, Any]]:
    """The Roles of a file, by name."""
    return {each["metadata"]["name"]: each for each in manifests(path) if each["kind"] == "Role"}


def permissions(role: dict[str, Any]) -> Permissions:
    """All (verb, resource) of a Role."""
    rules = role["rules"]
    return {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}


def all_permissions(path: Path) -> Permissions:
    """What all Roles of a file permit together."""
    return {each for role in roles(path).values() for each in permissions(role)}
