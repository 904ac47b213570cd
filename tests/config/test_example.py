"""The example shows every key, and as it stands it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from exporter.collectors.registry import builtin
from exporter.config.loader import load, parse, schema
from exporter.config.schema import Canary

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
OPTIONS = {name: module.Options for name, module in builtin().items()}
TEXT = EXAMPLE.read_text()


def keys(json_schema: dict[str, Any]) -> Iterator[str]:
    for section in (json_schema, *json_schema["$defs"].values()):
        yield from section["properties"]


def given_keys(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield path + key
        if isinstance(value, dict):
            yield from given_keys(value, f"{path}{key}.")


def test_the_example_equals_the_defaults() -> None:
    assert load(EXAMPLE, OPTIONS, {}).config == load(None, OPTIONS, {}).config


def test_the_example_mentions_every_key() -> None:
    missing = [key for key in keys(schema(OPTIONS)) if not re.search(rf"\b{key}: ", TEXT) and f"{key}:\n" not in TEXT]
    assert missing == []


def test_the_example_gives_every_key_that_has_a_place_of_its_own() -> None:
    written = set(given_keys(yaml.safe_load(TEXT)))
    defaults = set(given_keys(load(None, OPTIONS, {}).config.model_dump(mode="json")))
    assert written == defaults


def test_the_example_satisfies_the_json_schema() -> None:
    jsonschema.validate(yaml.safe_load(TEXT), schema(OPTIONS))


def test_every_default_in_the_example_is_written_as_the_schema_has_it() -> None:
    plain = yaml.safe_load(TEXT)
    config = parse(TEXT, "example", EXAMPLE.parent, OPTIONS, {}).config
    assert plain["cycle"] == config.cycle.model_dump(mode="json")
    assert plain["limits"] == config.limits.model_dump()


def test_the_targets_in_its_comments_load_once_uncommented(tmp_path: Path) -> None:
    block = TEXT[TEXT.index("  # static:\n") : TEXT.index("  # Files with lists")]
    text = "targets:\n" + re.sub(r"^  # ", "  ", block, flags=re.MULTILINE)
    (tmp_path / "on-call.url").write_text("https://hooks.example.org/x\n")
    targets = parse(text, "example", tmp_path, OPTIONS, {"SLACK": "x"}).config.targets.static
    assert [target.name for target in targets] == ["ops-slack", "on-call"]


def test_the_services_in_its_comments_load_once_uncommented(tmp_path: Path) -> None:
    block = TEXT[TEXT.index("# publishing_services:\n") : TEXT.index("# Each collector takes")]
    text = re.sub(r"^# ", "", block, flags=re.MULTILINE)
    services = parse(
        text, "example", tmp_path, OPTIONS, {"ALERT_HISTORY": "x", "CANARY_TOKEN": "x" * 16}
    ).config.publishing_services
    assert [service.dialect for service in services] == ["alert-history", "alertmanager", "prometheus"]
    canary = services[1].canary
    assert canary is not None
    assert canary == Canary(token=canary.token)


def test_every_key_of_the_example_has_a_comment_above_or_below_its_section() -> None:
    lines = TEXT.splitlines()
    bare = [
        line
        for above, line in pairwise(lines)
        if re.match(r" +[a-z_]+: \S", line) and not above.strip().startswith("#") and not line.strip().startswith("#")
    ]
    # Two families of keys share the comment above the first of them.
    assert [line.strip().partition(":")[0] for line in bare] == ["enabled", "key_file"]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_collector_has_a_section(name: str) -> None:
    assert name in yaml.safe_load(TEXT)["collectors"]
