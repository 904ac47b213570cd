from __future__ import annotations

import json

import pytest

from tests.web.conftest import BROKEN, Running, found, picture, snapshot

TARGETS = (
    picture("ops", type="slack", shown="https://hooks.slack.com"),
    picture("team/email/0", type="email", shown="smtp://mail.example.org:587"),
    picture("plain", shown="http://10.0.0.1"),
    picture("six", shown="https://[2001:db8::1]"),
    picture("six-port", shown="https://[2001:db8::1]:8443"),
    picture("off", enabled=False),
)


async def groups(site: Running) -> list[tuple[str, str, str, str]]:
    status, body = await site.get("/sd/targets")
    assert status == 200
    told = []
    for group in json.loads(body):
        assert group.keys() == {"targets", "labels"}
        [address] = group["targets"]
        labels = {name.removeprefix("__meta_publishing_target_"): value for name, value in group["labels"].items()}
        assert labels.keys() == {"name", "type", "scheme"}
        told.append((address, labels["name"], labels["type"], labels["scheme"]))
    return told


async def test_every_target_that_is_switched_on_is_told_with_its_port(site: Running) -> None:
    site.feed.publish(found(1, *TARGETS))
    assert await groups(site) == [
        ("hooks.slack.com:443", "ops", "slack", "https"),
        ("mail.example.org:587", "team/email/0", "email", "smtp"),
        ("10.0.0.1:80", "plain", "webhook", "http"),
        ("[2001:db8::1]:443", "six", "webhook", "https"),
        ("[2001:db8::1]:8443", "six-port", "webhook", "https"),
    ]


async def test_the_answer_is_of_the_type_that_prometheus_takes(site: Running) -> None:
    site.feed.publish(found(1))
    async with site.client.get(site.url("/sd/targets")) as answer:
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert await answer.read() == b"[]"


async def test_before_the_first_discovery_there_is_no_list(site: Running) -> None:
    assert (await site.get("/sd/targets"))[0] == 503
    site.feed.publish(snapshot(1))
    assert (await site.get("/sd/targets"))[0] == 503
    site.feed.publish(found(2, *TARGETS, **BROKEN | {"last_success": None}))
    status, body = await site.get("/sd/targets")
    assert (status, json.loads(body)["error"]["message"]) == (503, "no refresh has ended well yet")


async def test_after_a_refresh_that_failed_the_targets_that_are_known_stay(site: Running) -> None:
    site.feed.publish(found(1, *TARGETS, **BROKEN))
    assert len(await groups(site)) == 5


@pytest.mark.parametrize("name", ['"}],"labels":{}', "\u2028</script>", "ä \U0001f514"])
async def test_a_name_is_text_whatever_it_holds(site: Running, name: str) -> None:
    site.feed.publish(found(1, picture(name, shown="https://a.example")))
    assert await groups(site) == [("a.example:443", name, "webhook", "https")]
