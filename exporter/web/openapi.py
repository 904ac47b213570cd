"""The description of the API, made from the table of routes and the types of the answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from exporter.web.answers import JSON, ErrorAnswer, headers
from exporter.web.route import Answer, Parameter, Route
from exporter.web.site import Site

_REF = "#/components/schemas/{name}"
_FAILED = Answer("the request failed here", (JSON,), ErrorAnswer)
_HEADERS = headers(JSON)
_TEXT = {"type": "string"}
_BEARER = "bearer"


def routes(site: Site, others: list[Route]) -> list[Route]:
    """This document's own route; `others` are all the rest."""
    table = list(others)

    async def serve(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers=_HEADERS)

    table.append(
        Route(
            path="/openapi.json",
            name="openapi",
            summary="This description.",
            handler=serve,
            answers={200: Answer("an OpenAPI 3.1 document", (JSON,))},
        )
    )
    body = msgspec.json.encode(describe(table, site))
    return table


def describe(table: list[Route], site: Site) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    found = {answer.schema for route in table for answer in route.answers.values()} | {ErrorAnswer}
    found |= {route.body for route in table}
    schemas = sorted((schema for schema in found if schema is not None), key=lambda schema: schema.__name__)
    _, components = msgspec.json.schema_components(schemas, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "platform-exporter",
            "version": site.version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": site.external_url.rstrip("/") or site.prefix or "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {_BEARER: {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route) -> dict[str, Any]:
    answers = {**route.answers, int(HTTPStatus.INTERNAL_SERVER_ERROR): _FAILED}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {str(status): _response(answer) for status, answer in sorted(answers.items())},
    }
    parameters = [_path_parameter(name) for name in route.path_names]
    parameters += [_parameter(parameter) for parameter in route.parameters]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = {"$ref": _REF.format(name=route.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.token:
        operation["security"] = [{_BEARER: []}]
    return operation


def _response(answer: Answer) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if answer.schema is not None:
        schema = {"$ref": _REF.format(name=answer.schema.__name__)}
        if answer.listed:
            schema = {"type": "array", "items": schema}
    elif answer.media == (JSON,):
        schema = {"type": "object"}
    if not answer.media:
        return {"description": answer.description}
    # What can be had as text as well is described by its JSON.
    content = {media: {"schema": schema if media in (JSON, answer.media[0]) else _TEXT} for media in answer.media}
    return {"description": answer.description, "content": content}


def _path_parameter(name: str) -> dict[str, Any]:
    description = "slashes in it are sent as %2F"
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": schema}
