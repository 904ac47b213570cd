from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import unquote

import pytest
from aiohttp import web

from exporter.web.route import Route
from exporter.web.routes import Router
from tests.web.conftest import serving, snapshot


@pytest.mark.parametrize("prefix", ["/exporter", "exporter", "/exporter/"])
async def test_a_prefix_is_put_in_front_of_every_route(prefix: str) -> None:
    async with serving(route_prefix=prefix) as site:
        site.feed.publish(snapshot())
        assert "publishing_" in (await site.get("/exporter/metrics"))[1]
        assert (await site.get("/exporter/-/healthy"))[0] == 200
        assert (await site.get("/metrics"))[0] == 404
        assert ("/metrics", "GET", "200") in site.counted()


async def test_the_way_to_the_prefix_is_relative() -> None:
    async with serving(route_prefix="/team/exporter") as site:
        for path, location in (("/", "team/exporter/"), ("/team/exporter", "exporter/")):
            async with site.client.get(site.url(path), allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (302, location)
            assert "<!doctype html>" in (await site.get(path))[1]


async def nothing(request: web.BaseRequest) -> web.Response:
    raise AssertionError("only the way to a route is asked for here")


PATHS = ("/t", "/t/status", "/t/{name}", "/t/health/{name}", "/t/health/stats", "/t/health/{name}/check")


def where(path: str, prefix: str = "", paths: Sequence[str] = PATHS) -> tuple[str, dict[str, str]] | None:
    """The route a path leads to, and what it says in the place of names."""
    routes = [Route(path=path, name=path, summary="", handler=nothing, answers={}) for path in paths]
    found = Router(routes, prefix).find(path)
    return None if found is None else (found.place.label, dict(found.values))


@pytest.mark.parametrize(
    ("path", "template", "name"),
    [
        ("/t/ops", "/t/{name}", "ops"),
        ("/t/team%2Fslack%2F0", "/t/{name}", "team/slack/0"),
        ("/t/team/slack/0", "/t/{name}", "team/slack/0"),
        ("/t/health/ops", "/t/health/{name}", "ops"),
        ("/t/health/team/slack/0", "/t/health/{name}", "team/slack/0"),
        ("/t/health%2Fslack%2F0", "/t/{name}", "health/slack/0"),
        ("/t/health%2Fstats", "/t/{name}", "health/stats"),
        ("/t/health/health%2Fstats", "/t/health/{name}", "health/stats"),
        ("/t/health/ops/check", "/t/health/{name}/check", "ops"),
        ("/t/health/team%2Fslack%2F0/check", "/t/health/{name}/check", "team/slack/0"),
        ("/t/ops%20call%C3%A9", "/t/{name}", "ops callé"),
        ("/t/100%2525", "/t/{name}", "100%25"),
        ("/t/%zz", "/t/{name}", "%zz"),
        ("/t/+", "/t/{name}", "+"),
        ("/t/%7Bname%7D", "/t/{name}", "{name}"),
        ("/t/..", "/t/{name}", ".."),
        ("/t/%2e%2e%2F..%2fetc", "/t/{name}", "../../etc"),
        ("/t/%00", "/t/{name}", "\0"),
        ("/t//x", "/t/{name}", "/x"),
        ("/t/health//check", "/t/health/{name}", "/check"),
    ],
)
def test_a_name_in_a_path_is_decoded_once_and_may_hold_slashes(path: str, template: str, name: str) -> None:
    assert where(path) == (template, {"name": name})


def test_slashes_are_taken_for_those_of_a_name_only_where_nothing_else_fits() -> None:
    paths = ("/a/b/{x}", "/a/{x}/{y}/c")
    assert where("/a/b/q/c", paths=paths) == ("/a/{x}/{y}/c", {"x": "b", "y": "q"})
    assert where("/a/b/q/d", paths=paths) == ("/a/b/{x}", {"x": "q/d"})


@pytest.mark.parametrize("path", ["/t", "/t/status", "/t/health/stats", "/%74/stat%75s"])
def test_a_route_without_names_comes_first(path: str) -> None:
    assert where(path) == (unquote(path), {})


@pytest.mark.parametrize(
    "path", ["", "t", "*", "/", "//t", "/t/", "/T/ops", "/%2Ft/ops", "/t%2Fstatus", "/t/%ff", "/t/\udcff"]
)  # fmt: skip
def test_what_is_no_route_of_ours_leads_nowhere(path: str) -> None:
    assert where(path) is None


def test_names_stand_behind_the_prefix_too() -> None:
    assert where("/deep/t/a%2Fb", "/deep") == ("/t/{name}", {"name": "a/b"})
    assert where("/t/a%2Fb", "/deep") is None


def test_a_hostile_path_costs_little() -> None:
    begin = time.process_time()
    for path in ("/" * 60_000, "/t" + "/a" * 30_000, "/t/" + "%2F" * 20_000, "/t/" + "%ff" * 20_000):
        where(path)
    assert time.process_time() - begin < 0.2
