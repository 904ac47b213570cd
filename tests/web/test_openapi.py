from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.web.conftest import BROKEN, Running, found, picture, serving
from tests.web.standings import standing

jsonschema = pytest.importorskip("jsonschema")


async def document(site: Running) -> dict[str, Any]:
    status, body = await site.get("/openapi.json")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


async def test_describes_every_route_and_nothing_else(site: Running) -> None:
    described = await document(site)
    assert described["openapi"] == "3.1.0"
    assert described["info"]["version"] == "1.2.3"
    assert {path: list(operations) for path, operations in described["paths"].items()} == {
        "/metrics": ["get"],
        "/": ["get"],
        "/events": ["get"],
        "/-/healthy": ["get"],
        "/-/ready": ["get"],
        "/-/reload": ["post"],
        "/api/v2/publishing/metrics": ["get"],
        "/api/v2/publishing/stats": ["get"],
        "/api/v2/publishing/stats/{target}": ["get"],
        "/api/v2/publishing/health": ["get"],
        "/api/v2/publishing/trends": ["get"],
        "/api/v2/publishing/targets": ["get"],
        "/api/v2/publishing/targets/status": ["get"],
        "/api/v2/publishing/targets/refresh": ["post"],
        "/api/v2/publishing/targets/{name}": ["get"],
        "/api/v2/publishing/targets/health": ["get"],
        "/api/v2/publishing/targets/health/stats": ["get"],
        "/api/v2/publishing/targets/health/{name}": ["get"],
        "/api/v2/publishing/targets/health/{name}/check": ["post"],
        "/api/v2/publishing/canary": ["post"],
        "/sd/targets": ["get"],
        "/openapi.json": ["get"],
    }


async def test_every_reference_leads_somewhere(site: Running) -> None:
    described = await document(site)
    text = json.dumps(described)
    for name in described["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.partition('"')[0] in described["components"]["schemas"]


async def test_a_real_answer_fits_its_description(site: Running) -> None:
    described = await document(site)
    _, body = await site.get("/nope")
    schema = {"$ref": "#/components/schemas/ErrorAnswer", "components": described["components"]}
    jsonschema.validate(json.loads(body), schema)


async def test_names_in_a_path_are_described(site: Running) -> None:
    paths = (await document(site))["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            described = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert described == re.findall(r"\{(\w+)\}", path), path
            assert all(one["required"] for one in operation.get("parameters", []) if one["in"] == "path")


FULL = found(1, picture("ops", headers=("Authorization",)), picture("team/slack/0", enabled=False), **BROKEN)
PUBLISHING = standing(1, details=FULL.details)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v2/publishing/targets", ""),
        ("/api/v2/publishing/targets/status", ""),
        ("/api/v2/publishing/targets/{name}", "/api/v2/publishing/targets/ops"),
        ("/api/v2/publishing/targets/health", ""),
        ("/api/v2/publishing/targets/health/stats", ""),
        ("/api/v2/publishing/targets/health/{name}", "/api/v2/publishing/targets/health/ops"),
        ("/sd/targets", ""),
        ("/api/v2/publishing/metrics", ""),
        ("/api/v2/publishing/stats", "/api/v2/publishing/stats?group_by=type"),
        ("/api/v2/publishing/stats/{target}", "/api/v2/publishing/stats/ops-slack"),
        ("/api/v2/publishing/health", ""),
        ("/api/v2/publishing/trends", ""),
    ],
)
async def test_what_is_told_of_targets_fits_its_description(site: Running, path: str, asked: str) -> None:
    described = await document(site)
    site.feed.publish(PUBLISHING)
    status, body = await site.get(asked or path)
    assert status == 200
    schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json; charset=utf-8"]["schema"]
    jsonschema.validate(json.loads(body), {**schema, "components": described["components"]})


async def test_repeated_parameters_are_arrays(site: Running) -> None:
    parameters = (await document(site))["paths"]["/metrics"]["get"]["parameters"]
    assert {one["name"]: one["schema"]["type"] for one in parameters} == {
        "name[]": "array",
        "collect[]": "array",
        "exclude[]": "array",
    }


async def test_the_server_is_the_external_url_or_the_prefix(site: Running) -> None:
    assert (await document(site))["servers"] == [{"url": "/"}]
    async with serving(external_url="https://exporter.example.org/x/") as other:
        assert (await document(other))["servers"] == [{"url": "https://exporter.example.org/x"}]
    async with serving(route_prefix="/x/") as other:
        _, body = await other.get("/x/openapi.json")
        assert json.loads(body)["servers"] == [{"url": "/x"}]
