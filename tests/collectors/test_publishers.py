"""Publishers of watched services, in every dialect on one page."""

from __future__ import annotations

import asyncio

import pytest

from exporter.collectors import queue as queues
from exporter.collectors.publishers import Options, Publishers, build
from exporter.exposition.format import Format
from exporter.exposition.lint import lint
from exporter.exposition.render import Renderer
from exporter.model.errors import Backoff, Failure, Partial
from exporter.model.reason import Reason
from exporter.publishing.canary import Canary
from tests.collectors.watched import accepted, recorded, rows, run, watching
from tests.fakes.bodies import each
from tests.fakes.remote import answer, hangs, serve


def publishers(parts: object) -> Publishers:
    made = build(Options(), parts)  # type: ignore[arg-type]
    assert made is not None
    return made


async def test_services_of_every_dialect_stand_on_one_page_each_with_its_own_buckets() -> None:
    async with (
        serve(recorded("alert-history")) as history,
        serve(recorded("alertmanager-0.25")) as alertmanager,
        serve(recorded("prometheus-2.42")) as prometheus,
        serve(recorded("vmalert")) as vmalert,
        watching(
            history=("alert-history", history.url()),
            am=("alertmanager", alertmanager.url()),
            prom=("prometheus", prometheus.url()),
            vm=("vmalert", vmalert.url()),
        ) as parts,
    ):
        collector = publishers(parts)
        result = await collector.collect(run())
    taken = accepted(tuple(collector.families), result)
    assert taken.drops == {}
    assert lint(result.samples) == []
    page = b"".join(Renderer().render(taken.samples, Format.TEXT)).decode()
    assert page.count("# TYPE publishing_publisher_duration_seconds histogram") == 1
    lines = [line for line in page.splitlines() if 'duration_seconds_bucket{publisher="slack"' in line]
    assert {line.partition('upstream="')[2].partition('"')[0]: line.count("le=") for line in lines} == {
        "history": 1,
        "am": 1,
    }
    assert [line.rpartition('le="')[2].partition('"')[0] for line in lines if 'upstream="history"' in line] == [
        "0.1",
        "+Inf",
    ]
    assert len([line for line in lines if 'upstream="am"' in line]) == 6
    upstreams = {key[-2] for key in rows(result, "publishing_publisher_attempts_total")}
    assert upstreams == {"history", "am", "prom", "vm"}
    assert "c4n4ry" not in page


async def test_both_collectors_of_a_cycle_read_one_scrape() -> None:
    async with serve(recorded("vmalert")) as remote, watching(vm=("vmalert", remote.url())) as parts:
        queue = queues.build(queues.Options(), parts)
        assert queue is not None
        one, two = await asyncio.gather(publishers(parts).collect(run(1)), queue.collect(run(1)))
        assert len(remote.heads) == 1
        assert one.detail == two.detail
        await queue.collect(run(2))
        assert len(remote.heads) == 2


async def test_families_are_the_same_objects_while_the_bounds_are() -> None:
    async with serve(each(recorded("vmalert"))) as remote, watching(vm=("vmalert", remote.url())) as parts:
        collector = publishers(parts)
        first, second = [await collector.collect(run(cycle)) for cycle in (1, 2)]
    assert all(one.family is two.family for one, two in zip(first.samples, second.samples, strict=True))
    assert all(one.keys is two.keys for one, two in zip(first.samples, second.samples, strict=True))


async def test_if_no_service_can_be_asked_it_fails_for_the_reason_of_the_first() -> None:
    async with serve(answer(401)) as remote, watching(vm=("vmalert", remote.url())) as parts:
        with pytest.raises(Failure) as caught:
            await publishers(parts).collect(run())
    assert (caught.value.reason, caught.value.detail) == (Reason.AUTH, "the answer was 401")


async def test_a_service_that_asks_for_a_pause_is_given_it() -> None:
    busy = each(answer(429, "Retry-After: 100"))
    async with serve(busy) as remote, watching(vm=("vmalert", remote.url())) as parts:
        collector = publishers(parts)
        with pytest.raises(Failure) as first:
            await collector.collect(run(1))
        with pytest.raises(Backoff) as second:
            await collector.collect(run(2))
    assert not isinstance(first.value, Backoff)
    assert first.value.reason is second.value.reason is Reason.RATE_LIMITED
    assert len(remote.heads) == 1


async def test_if_some_can_it_is_partial() -> None:
    async with (
        serve(recorded("vmalert")) as fine,
        serve(hangs) as broken,
        watching(vm=("vmalert", fine.url()), am=("alertmanager", broken.url())) as parts,
    ):
        with pytest.raises(Partial) as caught:
            await publishers(parts).collect(run(timeout=0.5))
    assert caught.value.reason is Reason.TIMEOUT
    assert rows(caught.value.result, "publishing_publisher_attempts_total")


async def test_canaries_are_told_of_even_if_no_service_can_be_asked() -> None:
    async with serve(answer(503)) as remote, watching(am=("alertmanager", remote.url())) as parts:
        canary = Canary("am", parts.canaries, parts.clock)
        canary.leave()
        canary.give_up()
        with pytest.raises(Partial) as caught:
            await publishers(parts).collect(run())
    assert caught.value.reason is Reason.HTTP_STATUS
    assert rows(caught.value.result, "publishing_canary_lost_total") == {("am",): (1.0,)}
    assert lint(caught.value.result.samples) == []


async def test_a_service_with_nothing_to_say_is_fine() -> None:
    async with serve(answer(200)) as remote, watching(vm=("vmalert", remote.url())) as parts:
        result = await publishers(parts).collect(run())
    assert result.samples == ()


async def test_without_services_there_is_no_collector() -> None:
    async with watching() as parts:
        bare = type(parts)(clock=parts.clock, prefix="x", tick=15.0, targets=parts.targets, prober=parts.prober)
        assert build(Options(), bare) is None
