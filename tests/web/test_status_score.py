"""The score and the signals on the status page."""

from __future__ import annotations

from dataclasses import replace

from exporter.publishing.signals import LastPublish, Signal, Use
from exporter.publishing.statistics import ScoreDetail, TargetStanding
from exporter.web.status_score import strays
from tests.web.conftest import WALL, Running, serving, snapshot
from tests.web.standings import HOUR, detail, standing
from tests.web.test_status import HOSTILE, page


async def test_the_page_tells_the_score_and_what_it_is_made_of(site: Running) -> None:
    site.feed.publish(standing(score=detail(HOUR)))
    text = (await page(site)).text
    for told in ("Score", "of 100", "success", "75 %", "40 % of the score, in the last hour", "30 % of the score, now"):
        assert told in text
    assert "20 % of the score, since the services were started" in text
    assert "91 deliveries succeeded and 10 failed since the services were started, 160 waiting." in text


async def test_the_numbers_are_those_of_the_api(site: Running) -> None:
    site.feed.publish(standing())
    score = detail().score.score
    assert f"{score:.1f} of 100" in (await page(site)).text


async def test_every_signal_of_a_target_is_told_in_words(site: Running) -> None:
    site.feed.publish(standing())
    text = (await page(site)).text
    assert "Deliveries fail at 1 of 1 target: on-call" in text
    assert "name: yesconnect: yesTLS: yesanswer: yespublish: nofailed 10 s ago" in text
    assert "publish: not known" in text
    assert "Published to, and not configured here: stray." in text


async def test_a_target_nobody_publishes_to_is_told(site: Running) -> None:
    found = detail()
    idle = TargetStanding(name="ops-slack", type="slack", enabled=True, use=Use.UNUSED)
    well = TargetStanding(name="on-call", signals={Signal.ANSWER: True}, use=Use.USED)
    site.feed.publish(standing(score=replace(found, targets={one.name: one for one in (idle, well)})))
    text = (await page(site)).text
    assert "no service publishes here" in text
    assert "answer: yespublish: not known" in text


async def test_the_last_delivery_is_told_whichever_way_it_went(site: Running) -> None:
    last = LastPublish(success=WALL - 60.0, failure=WALL - 90.0, succeeded=True)
    well = TargetStanding(name="on-call", signals={Signal.PUBLISH: True}, last=last, use=Use.USED)
    site.feed.publish(standing(score=replace(detail(), targets={"on-call": well})))
    assert "publish: yesdelivered 1 min ago" in (await page(site)).text


async def test_without_a_score_the_page_says_nothing_of_it(site: Running) -> None:
    for number, shown in enumerate((snapshot(1), standing(2, score=ScoreDetail())), start=1):
        site.feed.publish(replace(shown, id=number))
        site.clock.passed += 1
        text = (await page(site)).text
        assert "of 100" not in text
        assert "Published to" not in text


async def test_names_of_others_are_text(site: Running) -> None:
    found = detail()
    targets = {f"{HOSTILE}{n}": TargetStanding(name=f"{HOSTILE}{n}", use=Use.UNCONFIGURED) for n in range(12)}
    shown = replace(found, targets=targets)
    site.feed.publish(standing(score=shown))
    parsed = await page(site)
    assert parsed.tags.count("script") == 1
    assert "img" not in parsed.tags
    assert " and 2 more." in (strays(shown) or "")


async def test_a_component_without_data_is_said_to_have_none() -> None:
    async with serving() as site:
        found = detail()
        components = {
            **found.score.components,
            "queue": replace(found.score.components["queue"], value=None, basis=None),
        }
        quiet = replace(found.system, jobs=type(found.system.jobs)(), queue_size=None)
        site.feed.publish(
            standing(score=replace(found, score=replace(found.score, components=components), system=quiet))
        )
        text = (await page(site)).text
        assert "queueno data" in text
        assert "deliveries succeeded" not in text
        fresh = replace(found.system, queue_size=None)
        site.feed.publish(standing(2, score=replace(found, system=fresh)))
        site.clock.passed = 2.0
        assert "91 deliveries succeeded and 10 failed since the services were started." in (await page(site)).text
