"""The whole service: a shift by a clock that does not wait, and a while of it over real connections."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from random import Random

import aiohttp
import looptime
import pytest
from aiohttp.test_utils import make_mocked_request

import exporter.demo
from exporter.config.dialects import known
from exporter.demo import publishing, receivers
from exporter.demo.configuration import Ports
from exporter.demo.delivery import Answer, Cause, Request
from exporter.demo.letters import CAPACITY
from exporter.demo.publishing import Publishing
from exporter.demo.receivers import Schedule
from exporter.publishing.dialects.labels import Labelling
from exporter.publishing.dialects.translate import Translator
from exporter.sources.exposition import PageParser
from tests.faults.page import Labels, Page
from tests.programs import program

# What the imitated service has on its page: names, kinds and labels, as published.
QUEUE = """
queue_size gauge priority
queue_capacity_utilization gauge priority
queue_submissions_total counter priority result
jobs_processed_total counter target state
job_duration_seconds histogram target priority
job_wait_time_seconds histogram priority
retry_attempts_total counter target error_type
retry_success_rate histogram target attempt
circuit_breaker_state gauge target
circuit_breaker_trips_total counter target
circuit_breaker_recoveries_total counter target
workers_active gauge
workers_idle gauge
worker_processing_duration_seconds histogram worker_id
dlq_size gauge target
dlq_writes_total counter target error_type
dlq_replays_total counter target result
slack_messages_posted_total counter status
slack_thread_replies_total counter
slack_message_errors_total counter error_type
slack_api_request_duration_seconds histogram method status
slack_cache_hits_total counter
slack_cache_misses_total counter
slack_cache_size gauge
slack_rate_limit_hits_total counter
"""
OTHERS = """
rootly_incidents_created_total counter severity
rootly_incidents_updated_total counter reason
rootly_incidents_resolved_total counter
rootly_api_requests_total counter endpoint method status
rootly_api_duration_seconds histogram endpoint method
rootly_api_errors_total counter endpoint error_type
rootly_rate_limit_hits_total counter
rootly_active_incidents_gauge gauge
pagerduty_events_triggered_total counter routing_key severity
pagerduty_events_acknowledged_total counter routing_key
pagerduty_events_resolved_total counter routing_key
pagerduty_change_events_total counter routing_key
pagerduty_api_requests_total counter endpoint status
pagerduty_api_errors_total counter error_type
pagerduty_api_duration_seconds histogram endpoint
pagerduty_rate_limit_hits_total counter
webhook_requests_total counter target status method
webhook_request_duration_seconds histogram target status
webhook_errors_total counter target error_type
webhook_retries_total counter target attempt
webhook_payload_size_bytes histogram target
webhook_auth_failures_total counter target auth_type
webhook_validation_errors_total counter target validation_type
webhook_timeout_errors_total counter target
process_start_time_seconds gauge
"""
PUBLISHED = [
    *("alert_history_publishing_" + line for line in QUEUE.strip().splitlines()),
    *OTHERS.strip().splitlines(),
]
PORTS = Ports(rootly=1, slack=2, revoked=3, pagerduty=4, webhook=5, partner=6)


class World:
    """Receivers as the demo has them, by the loop's clock."""

    def __init__(self) -> None:
        self._random = Random(1)
        self._began = asyncio.get_running_loop().time()
        self._primary, self._partner = exporter.demo.SCHEDULE, exporter.demo.HANGING

    async def __call__(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time() - self._began
        answer = getattr(self, request.target.replace("-", "_"))(now)
        await asyncio.sleep(answer.seconds)
        assert isinstance(answer, Answer)
        return answer

    def rootly_incidents(self, now: float) -> Answer:
        return Answer(201 if self._random.random() < 0.85 else self._random.choice((422, 429, 500)), 0.02)

    def slack_oncall(self, now: float) -> Answer:
        return Answer(200, 1.5)

    def slack_old_team(self, now: float) -> Answer:
        return Answer(404, 0.01)

    def pagerduty_primary(self, now: float) -> Answer:
        return Answer(503 if self._primary.failing(now) else 202, 0.01)

    def webhook_audit(self, now: float) -> Answer:
        return Answer(200 if self._random.random() < 0.85 else self._random.choice((302, 401, 408, 503)), 0.01)

    def webhook_partner(self, now: float) -> Answer:
        return Answer(0, 3.0, Cause.TIMEOUT) if self._partner.failing(now) else Answer(200, 0.01)


async def shift(seconds: int, every: int) -> list[str]:
    """The pages of a shift, one per so many seconds."""
    service = Publishing(PORTS, World(), asyncio.get_running_loop().time)
    service.start()
    pages = []
    for _ in range(seconds // every):
        await asyncio.sleep(every)
        answer = await service.page.handle(make_mocked_request("GET", "/metrics"))
        assert isinstance(answer.body, bytes)
        pages.append(answer.body.decode())
    await service.stop()
    return pages


def families(text: str) -> dict[str, str]:
    """Kind by name."""
    lines = (line.split() for line in text.splitlines() if line.startswith("# TYPE "))
    return {name: kind for _, _, name, kind in lines}


def samples(text: str, name: str) -> dict[Labels, float]:
    page = Page(text)
    return page.series(name) or page.series(name + "_count")


@pytest.mark.looptime
async def test_every_family_of_the_imitated_service_is_there_with_its_labels_and_moves() -> None:
    pages = await shift(180, 10)
    assert families(pages[-1]) == {line.split()[0]: line.split()[1] for line in PUBLISHED}
    for line in PUBLISHED:
        name, _, *labels = line.split()
        found = [samples(text, name) for text in pages]
        assert {tuple(label for label, _ in key) for key in found[-1]} == {tuple(labels)}
        still = name == "process_start_time_seconds"
        assert all(before == after for before, after in pairwise(found)) == still, f"{name} does not move"


@pytest.mark.looptime
async def test_the_watching_side_finds_everything_it_looks_for() -> None:
    [text] = await shift(180, 180)
    translate = Translator(known("alert-history"), Labelling(hash_key=b"k"))
    assert translate(PageParser().parse(text)).absent == ()


@pytest.mark.looptime
async def test_nearly_everything_is_to_be_seen_within_half_a_minute() -> None:
    [text] = await shift(30, 30)
    assert len(families(text)) >= len(PUBLISHED) - 3


@pytest.mark.looptime
async def test_counters_never_fall_and_jobs_end_at_most_once() -> None:
    pages = [Page(text) for text in await shift(180, 5)]
    for before, after in pairwise(pages):
        for name in before.names:
            if name.endswith(("_total", "_bucket", "_count", "_sum")):
                now = after.series(name)
                assert all(now[key] >= value for key, value in before.series(name).items())
    last = pages[-1]
    accepted = last.total("alert_history_publishing_queue_submissions_total", result="success")
    ended = last.total("alert_history_publishing_jobs_processed_total")
    waiting = last.total("alert_history_publishing_queue_size")
    assert accepted == ended + waiting + last.total("alert_history_publishing_workers_active")


def test_the_same_seed_gives_the_same_page() -> None:
    def page() -> list[str]:
        loop = looptime.new_event_loop()  # each begins at 0: rounding differs at other times
        try:
            [text] = loop.run_until_complete(shift(60, 60))
        finally:
            loop.close()
        return [line for line in text.splitlines() if not line.startswith("process_")]

    assert page() == page()


@pytest.mark.looptime
async def test_a_long_shift_needs_no_more_room_than_a_short_one() -> None:
    pages = [Page(text) for text in await shift(1200, 400)]
    assert sum(len(pages[1].series(name)) for name in pages[1].names) < 1.1 * sum(
        len(pages[0].series(name)) for name in pages[0].names
    )
    for page in pages:
        assert max(page.series("alert_history_publishing_dlq_size").values()) <= CAPACITY
        assert page.total("alert_history_publishing_queue_size") < 150


@pytest.mark.looptime
async def test_promtool_has_nothing_to_say_but_on_the_name_that_is_published_so() -> None:
    [text] = await shift(60, 60)
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (done.stdout + done.stderr).splitlines() == [
        "rootly_active_incidents_gauge metric name should not include type 'gauge'"
    ]


async def page_of(url: str) -> Page:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return Page(await answer.text())


async def until(url: str, condition: Callable[[Page], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition(await page_of(url)):
            await asyncio.sleep(0.05)


async def test_over_real_connections_a_broken_receiver_shows_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "ROUND", 0.05)
    monkeypatch.setattr(receivers, "SLOW", 0.05)
    demo = await exporter.demo.start(time.monotonic, Schedule(works=1000.0, fails=1.0))
    jobs, state = "alert_history_publishing_jobs_processed_total", "alert_history_publishing_circuit_breaker_state"
    targets = ("rootly-incidents", "slack-oncall", "pagerduty-primary", "webhook-audit", "webhook-partner")
    try:
        await until(demo.metrics_url, lambda page: all(page.total(jobs, target=t, state="succeeded") for t in targets))
        await until(demo.metrics_url, lambda page: page.value(state, target="slack-old-team") == 1)
        async with aiohttp.ClientSession() as session:
            assert (await session.post(f"{demo.slack_url}/-/break")).status == 204
        await until(demo.metrics_url, lambda page: page.value(state, target="slack-oncall") == 1)
        before = (await page_of(demo.metrics_url)).value(jobs, target="webhook-audit", state="succeeded")
        await until(demo.metrics_url, lambda page: page.value(jobs, target="webhook-audit", state="succeeded") > before)
    finally:
        await demo.stop()


async def test_only_metrics_are_served_and_in_the_format_that_is_asked_for() -> None:
    demo = await exporter.demo.start(publishing=False)
    try:
        async with aiohttp.ClientSession() as session:
            headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
            async with session.get(demo.metrics_url, headers=headers) as answer:
                assert (await answer.text()).endswith("# EOF\n")
                assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            async with session.get(demo.metrics_url.removesuffix("metrics")) as answer:
                assert answer.status == 404
    finally:
        await demo.stop()


async def test_what_the_work_ended_with_is_told_when_it_is_stopped() -> None:
    async def fail(request: Request) -> Answer:
        raise ZeroDivisionError

    service = Publishing(PORTS, fail, time.monotonic)
    service.start()
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not any(task.done() for task in vars(service)["_tasks"]):
                await asyncio.sleep(0.01)
    with pytest.raises(ExceptionGroup):
        await service.stop()
