from __future__ import annotations

import pytest

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
