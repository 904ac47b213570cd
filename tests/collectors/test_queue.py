"""The queues of watched services, and whether they could be asked."""

from __future__ import annotations

import pytest

from exporter.collectors.queue import Options, Queue, build
from exporter.exposition.lint import lint
from exporter.model.errors import Partial
from exporter.model.reason import Reason
from exporter.publishing.upstream import UpstreamDetail
from tests.collectors.watched import accepted, recorded, rows, run, watching
from tests.fakes.remote import answer, serve


def queue(parts: object) -> Queue:
    made = build(Options(), parts)  # type: ignore[arg-type]
    assert made is not None
    return made


async def test_the_queue_of_a_service_is_on_our_page_with_its_origin() -> None:
    page = recorded("alert-history")
    async with serve(page) as remote, watching(history=("alert-history", remote.url())) as parts:
        collector = queue(parts)
        result = await collector.collect(run())
    at = f"127.0.0.1:{remote.port}"
    assert rows(result, "publishing_queue_size")[("medium", "history", at)] == (12.0,)
    assert rows(result, "publishing_circuit_breaker_state")[("opened", "history", at)] == (2.0,)
    durations = rows(result, "publishing_job_duration_seconds")
    assert durations == {("slack-main", "high", "history", at): (1.0, 3.0, 2.0, 1.25)}
    assert rows(result, "publishing_upstream_up") == {("history", at): (1.0,)}
    assert rows(result, "publishing_upstream_scrape_samples") == {("history", at): (41.0,)}
    assert rows(result, "publishing_upstream_scrape_duration_seconds")[("history", at)] > (0.0,)
    assert rows(result, "publishing_upstream_last_scrape_timestamp_seconds")[("history", at)] > (1.7e9,)
    assert rows(result, "publishing_dlq_size") == {}
    assert accepted(tuple(collector.families), result).drops == {}
    assert lint(result.samples) == []
    assert not any(column.family.name.startswith("publishing_publisher") for column in result.samples)


async def test_it_has_the_seventeen_families_and_four_about_the_scrape() -> None:
    async with watching() as parts:
        names = [family.name for family in queue(parts).families]
    assert len(names) == 21
    assert all(name.startswith("publishing_") for name in names)


async def test_a_service_that_is_down_is_said_to_be_and_the_others_are_there() -> None:
    async with serve(recorded("alert-history")) as fine, serve(answer(503)) as broken:
        both = {"fine": ("alert-history", fine.url()), "broken": ("prometheus", broken.url())}
        async with watching(**both) as parts:
            with pytest.raises(Partial) as caught:
                await queue(parts).collect(run())
    partial = caught.value
    assert partial.reason is Reason.HTTP_STATUS
    assert partial.detail == f"1 of 2 replicas not scraped, broken 127.0.0.1:{broken.port}: the answer was 503"
    up = rows(partial.result, "publishing_upstream_up")
    assert up == {("fine", f"127.0.0.1:{fine.port}"): (1.0,), ("broken", f"127.0.0.1:{broken.port}"): (0.0,)}
    assert {key[-2] for key in rows(partial.result, "publishing_queue_size")} == {"fine"}
    assert set(rows(partial.result, "publishing_upstream_scrape_samples")) == {("fine", f"127.0.0.1:{fine.port}")}
    assert isinstance(partial.result.detail, UpstreamDetail)
    fine_state, broken_state = partial.result.detail.upstreams
    assert "dlq_size" in fine_state.absent
    assert broken_state.absent == ()
    assert broken_state.replicas[0].reason is Reason.HTTP_STATUS


async def test_a_lone_service_that_is_down_still_has_its_series() -> None:
    async with serve(answer(503)) as broken, watching(broken=("prometheus", broken.url())) as parts:
        with pytest.raises(Partial) as caught:
            await queue(parts).collect(run())
    assert caught.value.detail == f"broken 127.0.0.1:{broken.port}: the answer was 503"
    assert rows(caught.value.result, "publishing_upstream_up") == {("broken", f"127.0.0.1:{broken.port}"): (0.0,)}


async def test_without_services_there_is_no_collector() -> None:
    async with watching() as parts:
        bare = type(parts)(clock=parts.clock, prefix="x", tick=15.0, targets=parts.targets, prober=parts.prober)
        assert build(Options(), bare) is None
