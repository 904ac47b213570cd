from __future__ import annotations

import json

import pytest

from tests.web.conftest import Running, found, picture

TARGETS = "/api/v2/publishing/targets"
ALL = found(
    1,
    picture("a", type="slack"),
    picture("b", type="email", origin="alertmanager", enabled=False),
    picture("c", type="email", origin="alertmanager"),
    picture("d", origin="kubernetes"),
)


@pytest.mark.parametrize(
    ("query", "names", "total"),
    [
        ("", "abcd", 4),
        ("type=slack", "a", 1),
        ("type=email", "bc", 2),
        ("type=rootly", "", 0),
        ("type=opsgenie", "", 0),
        ("enabled=true", "acd", 3),
        ("enabled=false", "b", 1),
        ("origin=alertmanager", "bc", 2),
        ("origin=file", "", 0),
        ("type=email&enabled=true&origin=alertmanager", "c", 1),
        ("limit=2", "ab", 4),
        ("limit=0", "", 4),
        ("offset=3", "d", 4),
        ("offset=9", "", 4),
        ("type=email&limit=1&offset=1", "c", 2),
        ("unheard_of=1", "abcd", 4),
    ],
)
@pytest.mark.parametrize("path", ["", "/health"])
async def test_a_list_is_of_what_is_asked_for(site: Running, path: str, query: str, names: str, total: int) -> None:
    site.feed.publish(ALL)
    status, body = await site.get(f"{TARGETS}{path}?{query}")
    answer = json.loads(body)
    assert status == 200
    assert "".join(one.get("name") or one["target_name"] for one in answer["targets"]) == names
    assert answer["total"] == total


@pytest.mark.parametrize(
    "query",
    [
        "type=fax",
        "type=",
        "type=SLACK",
        "enabled=1",
        "enabled=yes",
        "origin=moon",
        "limit=-1",
        "limit=",
        "limit=1e3",
        "limit=9999999999",
        "offset=%D9%A3",
        "offset=x",
        "limit=1&limit=2",
        "type=slack&type=email",
    ],
)
@pytest.mark.parametrize("path", ["", "/health"])
async def test_a_value_that_cannot_be_is_refused(site: Running, path: str, query: str) -> None:
    site.feed.publish(ALL)
    status, body = await site.get(f"{TARGETS}{path}?{query}")
    assert status == 400
    error = json.loads(body)["error"]
    assert error["code"] == "bad_parameter"
    assert error["message"].startswith(query.partition("=")[0])


async def test_a_refusal_says_what_there_is(site: Running) -> None:
    site.feed.publish(ALL)
    for query, known in (("type=fax", "email, incidentio, jira"), ("enabled=1", "true, false")):
        assert known in (await site.get(f"{TARGETS}?{query}"))[1]
