from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.conftest import Running, serving

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
