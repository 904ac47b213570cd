"""Pages of snapshots: made once, off the loop, whoever waits for them."""

from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterable, Sequence

import pytest

from exporter.engine.threads import DaemonPool
from exporter.exposition import pages as module
from exporter.exposition import render
from exporter.exposition.format import Format
from exporter.exposition.pages import EVERYTHING, Page, Pages, Selection
from exporter.exposition.process import ProcessMetrics
from exporter.exposition.render import Renderer
from exporter.model.metric import Distribution, Family, Kind, Samples
from tests.exposition.build import parsed, snapshot

HEALTH = Family("publishing_health_status", "Status.", labels=("target",))
CHECKS = Family("publishing_checks_total", "Checks.", Kind.COUNTER, ("target",))
SECONDS = Family("publishing_seconds", "Duration.", Kind.HISTOGRAM, (), "seconds", (1.0,))
SHARED = Family("shared", "Of two collectors.", labels=("x",))
OWN = Family("platform_exporter_snapshot_series", "Series.")

COLLECTED = {
    "health": (Samples.of(HEALTH, {("a",): 1.0}), Samples.of(CHECKS, {("a",): 5.0}), Samples.of(SHARED, {("1",): 1.0})),
    "queue": (Samples.of(SECONDS, {(): Distribution((1.0, 2.0), 3.0)}), Samples.of(SHARED, {("2",): 2.0})),
}
SELF = (Samples.of(OWN, 7.0),)


class Renders:
    """Counts renders, and holds them up until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.threads: set[int] = set()
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        real = Renderer.render

        def counted(renderer: Renderer, samples: Iterable[Samples], format: Format) -> list[bytes]:
            self.count += 1
            self.threads.add(threading.get_ident())
            self.begun.set()
            assert self.gate.wait(30)
            return real(renderer, samples, format)

        monkeypatch.setattr(Renderer, "render", counted)


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Renders:
    return Renders(monkeypatch)


@pytest.fixture
def pages() -> Pages:
    return Pages(DaemonPool("render", 1))


def families(page: Page) -> list[str]:
    """The families a page declares, those of the process left out."""
    body = gzip.decompress(page.body) if page.gzipped else page.body
    names = [line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    return [name for name in names if not name.startswith(("process_", "python_"))]


async def test_a_page_is_in_the_order_of_the_snapshot(pages: Pages, complaints: Callable[[bytes], str]) -> None:
    page = await pages.page(snapshot(COLLECTED, SELF), Format.TEXT, False)
    assert families(page) == [
        "publishing_health_status",
        "publishing_checks_total",
        "shared",
        "publishing_seconds",
        "platform_exporter_snapshot_series",
    ]
    declared = [line.split()[2] for line in page.body.decode().splitlines() if line.startswith("# TYPE")]
    assert declared.index("process_open_fds") > declared.index("platform_exporter_snapshot_series")
    assert declared[-1] == "python_info"
    assert complaints(page.body) == ""


@pytest.mark.parametrize("format", list(Format))
async def test_plain_and_gzip_say_the_same(pages: Pages, format: Format) -> None:
    now = snapshot(COLLECTED, SELF)
    plain, zipped = [await pages.page(now, format, gzip) for gzip in (False, True)]
    assert (plain.format, plain.gzipped, zipped.format, zipped.gzipped) == (format, False, format, True)
    assert gzip.decompress(zipped.body) == plain.body
    assert parsed(plain.body, format)[("publishing_checks_total", frozenset({("target", "a")}))]


async def test_a_page_is_ready_once_it_has_been_made(pages: Pages) -> None:
    first, second = snapshot(COLLECTED, SELF), snapshot(COLLECTED, SELF, 2)
    assert pages.ready(first, Format.TEXT, True) is None
    page = await pages.page(first, Format.TEXT, True)
    assert pages.ready(first, Format.TEXT, True) is page
    assert await pages.page(first, Format.TEXT, True) is page
    assert pages.ready(first, Format.TEXT, False) is None
    assert pages.ready(first, Format.OPENMETRICS, True) is None
    assert pages.ready(second, Format.TEXT, True) is None


async def test_a_hundred_who_wait_cost_one_render_off_the_loop(pages: Pages, renders: Renders) -> None:
    now = snapshot(COLLECTED, SELF)
    got = await asyncio.gather(*(pages.page(now, Format.TEXT, True) for _ in range(100)))
    assert renders.count == 1
    assert all(page is got[0] for page in got)
    assert threading.get_ident() not in renders.threads


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_one_who_leaves_costs_the_others_nothing(pages: Pages, renders: Renders, who: int) -> None:
    renders.gate.clear()
    now = snapshot(COLLECTED, SELF)
    waiting = [asyncio.ensure_future(pages.page(now, Format.TEXT, True)) for _ in range(3)]
    await asyncio.to_thread(renders.begun.wait, 30)
    waiting[who].cancel()
    renders.gate.set()
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(got.pop(who), asyncio.CancelledError)
    assert got[0] is got[1]
    assert isinstance(got[0], Page)
    assert renders.count == 1


async def test_a_page_all_have_left_is_there_for_the_next(pages: Pages, renders: Renders) -> None:
    renders.gate.clear()
    now = snapshot(COLLECTED, SELF)
    leaving = asyncio.ensure_future(pages.page(now, Format.TEXT, True))
    await asyncio.to_thread(renders.begun.wait, 30)
    leaving.cancel()
    await asyncio.wait([leaving])
    renders.gate.set()
    await pages.page(now, Format.TEXT, True)
    assert renders.count == 1


async def test_threads_of_a_larger_pool_do_not_get_in_each_others_way(renders: Renders) -> None:
    pages = Pages(DaemonPool("render", 8))
    for id in range(20):
        now = snapshot({"a": tuple(many(20, id))}, (), id)
        kinds = [(format, zipped) for format in Format for zipped in (True, False)] * 4
        got = await asyncio.gather(*(pages.page(now, *kind) for kind in kinds))
        assert gzip.decompress(got[0].body) == got[1].body
    assert renders.count == 20 * 4


def many(count: int, id: int) -> list[Samples]:
    found = []
    for number in range(count):
        family = Family(f"family_{number}", "A.", labels=("x",))
        found.append(Samples.of(family, {(f"{i}",): float(id * i) for i in range(50)}))
    return found


async def test_a_new_snapshot_is_a_new_page(pages: Pages) -> None:
    now = snapshot({"health": (Samples.of(HEALTH, {("a",): 1.0}),)})
    later = snapshot({"health": (Samples.of(HEALTH, {("a",): 3.0}),)}, (), 2)
    assert b'health_status{target="a"} 1.0\n' in (await pages.page(now, Format.TEXT, False)).body
    assert b'health_status{target="a"} 3.0\n' in (await pages.page(later, Format.TEXT, False)).body
    assert pages.ready(now, Format.TEXT, False) is None


async def test_a_render_that_fails_fails_those_who_asked_and_nobody_else(pages: Pages) -> None:
    broken = snapshot({"health": (Samples(HEALTH, (("a",),), (1.0, 2.0)),)})
    for _ in range(2):
        with pytest.raises(ValueError):
            await pages.page(broken, Format.TEXT, False)
    assert families(await pages.page(snapshot(COLLECTED, SELF), Format.TEXT, True))


ALL = ["publishing_health_status", "publishing_checks_total", "shared", "publishing_seconds", OWN.name]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(names=frozenset({"publishing_health_status"})), ALL[:1]),
        (Selection(names=frozenset({"publishing_checks_total"})), ALL[1:2]),
        (Selection(names=frozenset({"publishing_checks"})), ALL[1:2]),
        (Selection(names=frozenset({"publishing_seconds_bucket"})), ["publishing_seconds"]),
        (
            Selection(names=frozenset({"publishing_seconds_count", "shared", "nobody"})),
            ["shared", "publishing_seconds"],
        ),
        (Selection(names=frozenset({OWN.name})), [OWN.name]),
        (Selection(names=frozenset({"nobody"})), []),
        (Selection(collect=frozenset({"health"})), [*ALL[:3], OWN.name]),
        (Selection(collect=frozenset({"queue"})), ["publishing_seconds", "shared", OWN.name]),
        (Selection(exclude=frozenset({"queue"})), [*ALL[:3], OWN.name]),
        (Selection(exclude=frozenset({"health", "queue"})), [OWN.name]),
        (Selection(collect=frozenset({"health"}), exclude=frozenset({"health"})), [OWN.name]),
        (Selection(names=frozenset({"shared", "publishing_seconds"}), collect=frozenset({"health"})), ["shared"]),
    ],
)
@pytest.mark.parametrize("format", list(Format))
async def test_a_selection_keeps_what_it_names(
    pages: Pages, format: Format, selection: Selection, expected: list[str]
) -> None:
    now = snapshot(COLLECTED, SELF)
    for zipped in (False, True):
        page = await pages.page(now, format, zipped, selection)
        assert families(page) == [
            name.removesuffix("_total") if format is Format.OPENMETRICS else name for name in expected
        ]
        body = gzip.decompress(page.body) if zipped else page.body
        parsed(body, format)
        assert body.endswith(format.end)
        assert (b"python_info" in body) is (not selection.names)
    assert pages.ready(now, format, False) is None


async def test_an_unknown_name_gives_an_empty_but_valid_page(pages: Pages) -> None:
    nobody = Selection(names=frozenset({"nobody"}))
    now = snapshot(COLLECTED, SELF)
    assert (await pages.page(now, Format.TEXT, False, nobody)).body == b""
    assert (await pages.page(now, Format.OPENMETRICS, False, nobody)).body == b"# EOF\n"
    assert gzip.decompress((await pages.page(now, Format.TEXT, True, nobody)).body) == b""


async def test_process_metrics_can_be_chosen_by_name(pages: Pages) -> None:
    chosen = Selection(names=frozenset({"process_cpu_seconds_total"}))
    page = await pages.page(snapshot(COLLECTED, SELF), Format.TEXT, False, chosen)
    assert [name for name, _ in parsed(page.body, Format.TEXT)] == ["process_cpu_seconds_total"]


async def test_one_collector_of_a_shared_family_brings_only_its_own_series(pages: Pages) -> None:
    now = snapshot(COLLECTED, SELF)
    whole = await pages.page(now, Format.TEXT, False)
    part = await pages.page(now, Format.TEXT, False, Selection(collect=frozenset({"queue"})))
    assert b'shared{x="2"}' in part.body
    assert b'shared{x="1"}' not in part.body
    assert gzip.decompress((await pages.page(now, Format.TEXT, True)).body) == whole.body


async def test_the_last_sixteen_filtered_pages_are_kept(pages: Pages, renders: Renders) -> None:
    now = snapshot(COLLECTED, SELF)
    chosen = [Selection(names=frozenset({f"name_{number}"})) for number in range(module.KEPT_PAGES + 1)]
    for selection in chosen:
        await pages.page(now, Format.TEXT, False, selection)
    renders.count = 0
    for selection in chosen[1:]:
        await pages.page(now, Format.TEXT, False, selection)
    assert renders.count == 0
    await pages.page(now, Format.TEXT, False, chosen[0])
    assert renders.count == 1


async def test_large_filtered_pages_are_not_kept(
    pages: Pages, renders: Renders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 10)
    now = snapshot(COLLECTED, SELF)
    for _ in range(2):
        page = await pages.page(now, Format.TEXT, False, Selection(names=frozenset({HEALTH.name})))
        assert families(page) == [HEALTH.name]
    assert renders.count == 2


@pytest.mark.parametrize("selection", [EVERYTHING, Selection(names=frozenset({HEALTH.name}))])
async def test_a_page_that_is_there_waits_for_no_thread(pages: Pages, renders: Renders, selection: Selection) -> None:
    now = snapshot(COLLECTED, SELF)
    page = await pages.page(now, Format.TEXT, True, selection)
    renders.gate.clear()
    renders.begun.clear()
    busy = asyncio.ensure_future(pages.page(now, Format.OPENMETRICS, True))
    await asyncio.to_thread(renders.begun.wait, 30)
    assert await pages.page(now, Format.TEXT, True, selection) is page
    assert not busy.done()
    renders.gate.set()
    await busy


async def test_a_plugin_that_brings_process_metrics_has_them_instead_of_us(pages: Pages) -> None:
    plugin = Samples.of(Family("process_open_fds", "Of the plugin."), 123.0)
    for page in (
        await pages.page(snapshot({"plugin": (plugin,)}), Format.OPENMETRICS, False),
        await pages.own((plugin,), Format.OPENMETRICS, False),
    ):
        assert page.body.count(b"process_open_fds") == 3
        assert b"process_open_fds 123.0\n" in page.body


async def test_the_page_without_a_snapshot_has_what_we_count_about_ourselves(
    pages: Pages, complaints: Callable[[bytes], str]
) -> None:
    page = await pages.own(SELF, Format.TEXT, False)
    assert families(page) == [OWN.name]
    assert b"python_info" in page.body
    assert complaints(page.body) == ""
    zipped = await pages.own(SELF, Format.OPENMETRICS, True)
    assert gzip.decompress(zipped.body).endswith(b"# EOF\n")


async def test_the_page_without_a_snapshot_leaves_the_real_one_alone(pages: Pages, renders: Renders) -> None:
    now = snapshot(COLLECTED, SELF)
    page = await pages.page(now, Format.TEXT, True)
    blocks = {name: block.body for name, block in pages._renderer._blocks.items() if name[0].startswith("publishing_")}
    segments = dict(pages._compressor._segments)
    await pages.own((Samples.of(OWN, 8.0),), Format.TEXT, True)
    assert pages.ready(now, Format.TEXT, True) is page
    assert pages._compressor._segments == segments
    assert all(pages._renderer._blocks[name].body is body for name, body in blocks.items())


async def test_blocks_of_collectors_that_did_not_run_are_used_again(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[bytes] = []
    real = render._filled

    def counted(pieces: list[bytes], numbers: Sequence[float]) -> bytes:
        filled.append(pieces[0])
        return real(pieces, numbers)

    monkeypatch.setattr(render, "_filled", counted)
    monkeypatch.setattr(ProcessMetrics, "collect", lambda self: ())
    await pages.page(snapshot(COLLECTED, SELF), Format.TEXT, False)
    filled.clear()
    changed = {**COLLECTED, "queue": (Samples.of(SECONDS, {(): Distribution((1.0, 3.0), 4.0)}), COLLECTED["queue"][1])}
    await pages.page(snapshot(changed, SELF, 2), Format.TEXT, False)
    await pages.page(snapshot(changed, SELF, 3), Format.OPENMETRICS, True)
    assert filled == [b'publishing_seconds_bucket{le="1.0"} ']


async def test_families_that_come_and_go_do_not_pile_up(pages: Pages) -> None:
    async def cycle(id: int) -> None:
        family = Family(f"passing_{id}", "A.", labels=("x",))
        samples = Samples.of(family, {(f"value {id} {i}",): float(i) for i in range(500)})
        now = snapshot({"a": (samples,)}, SELF, id)
        for format in Format:
            for zipped in (False, True):
                await pages.page(now, format, zipped)
                await pages.page(now, format, zipped, Selection(names=frozenset({family.name})))

    for id in range(5):
        await cycle(id)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for id in range(5, 105):
            await cycle(id)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # One such snapshot takes some 300 kB; a hundred that piled up would take 30 MB.
    assert grown < 2_000_000


def test_everything_is_a_selection_without_conditions() -> None:
    assert Selection() == EVERYTHING


async def test_a_snapshot_is_let_go_when_the_next_is_shown(pages: Pages) -> None:
    class Watched(dict[str, tuple[Samples, ...]]):
        pass

    watched = Watched(COLLECTED)
    gone = weakref.ref(watched)
    await pages.page(snapshot(watched, SELF), Format.TEXT, True)
    del watched
    await pages.page(snapshot(COLLECTED, SELF, 2), Format.TEXT, True)
    assert gone() is None
