"""Whatever collectors return: the page is clean, and says of what was fit for it what was meant, to the bit."""

from __future__ import annotations

import gzip
import http.server
import json
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from exporter.engine.limits import Intake, Limits, Merge
from exporter.exposition.compress import Compressor
from exporter.exposition.format import Format
from exporter.exposition.render import Renderer
from exporter.model.metric import Samples
from tests.exposition.build import Series, bits, parsed, render
from tests.exposition.conftest import complaints  # noqa: F401  # a fixture
from tests.faults.process import until
from tests.fuzz.campaign import MANY, Campaign, amounts, not_for_one_seed
from tests.fuzz.snapshots import by_number, families, result, series
from tests.programs import program

BATCH = 1000  # families for one run of promtool
SAMPLED = 300  # snapshots whose series a real Prometheus is asked for


class Snapshots:
    """Makes the two pages in a row that belong to a seed, as the daemon does: checked, merged, rendered."""

    def __init__(self, dice: Random, seed: int) -> None:
        self._dice = dice
        self._declared = families(dice, f"fuzz_{seed}")
        self._intake = Intake(None if dice.random() < 0.3 else self._declared, lambda _: True, Limits())
        self._merge = Merge(Limits())

    def next(self) -> tuple[Samples, ...]:
        """What of the next result goes on the page."""
        made = result(self._dice, self._declared)
        return self._merge({"fuzz": self._intake.accept(made)}).samples["fuzz"]


def meant(samples: tuple[Samples, ...]) -> dict[Series, bytes]:
    """The series these samples stand for."""
    return {name: value for column in samples for name, value in series(column)}


def judge(dice: Random, seed: int) -> tuple[Samples, ...]:
    """Makes and reads the pages of a seed; returns what is on the last."""
    snapshots, renderer, compressor = Snapshots(dice, seed), Renderer(), Compressor()
    samples: tuple[Samples, ...] = ()
    for _ in range(2):
        samples = snapshots.next()
        for format in Format:
            pieces = renderer.render(samples, format)
            page = b"".join(pieces)
            assert page == render(samples, format), "what is remembered differs from what is made anew"
            assert gzip.decompress(compressor.gzip(pieces)) == page, "the compressed page is another"
        compressor.turn()
    expected = meant(samples)
    for format in Format:
        read = {by_number(name): value for name, value in parsed(render(samples, format), format).items()}
        assert read == expected, f"{format.name} is read otherwise than meant"
    return samples


@amounts(400)
def test_every_snapshot_is_read_as_it_was_meant(amount: int, complaints: Callable[[bytes], str]) -> None:  # noqa: F811
    """By both parsers of prometheus_client, and by promtool without a complaint."""
    campaign = Campaign("snapshot")
    batch: dict[int, tuple[Samples, ...]] = {}

    def promtool() -> None:
        said = complaints(render([column for samples in batch.values() for column in samples], Format.TEXT))
        for seed in {int(line.split("_")[1]) for line in said.splitlines() if line.startswith("fuzz_")} if said else ():
            campaign.failed(seed, f"promtool: {said[:500]}")
        assert not said or campaign.failures, f"promtool, seeds {min(batch)} to {max(batch)}: {said[:1000]}"
        batch.clear()

    for seed in campaign.seeds(amount):
        if seed == amount // 3:
            campaign.warm()
        with campaign.trying(seed):
            batch[seed] = judge(campaign.dice(seed), seed)
        if sum(map(len, batch.values())) >= BATCH:
            promtool()
    promtool()
    campaign.end()


@contextmanager
def pages(samples: list[Samples]) -> Iterator[str]:
    """Serves the samples in both formats; gives the address."""
    bodies = {f"/{format.name}": (render(samples, format), format.content_type) for format in Format}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, media = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Prometheus:
    """Debian's, with one job for each format."""

    def __init__(self, folder: Path, address: str) -> None:
        jobs = [
            {"job_name": format.name, "metrics_path": f"/{format.name}", "static_configs": [{"targets": [address]}]}
            for format in Format
        ]
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
        self._log = folder / "log"
        flags = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program("prometheus"), *flags, "--web.listen-address=127.0.0.1:0"], stderr=log
            )
        self._address = ""
        until(self._listens, 30.0, "prometheus listens")

    def _listens(self) -> bool:
        for line in self._log.read_text().splitlines():
            if 'msg="Listening on" address=' in line:
                self._address = line.split("address=")[1].split()[0]
        return bool(self._address)

    def series(self, selector: str) -> dict[Series, bytes]:
        """What it stores of a job."""
        url = f"http://{self._address}/api/v1/query?" + urllib.parse.urlencode({"query": selector})
        rows = []
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(url, timeout=30) as answer:  # it is starting
            rows = json.load(answer)["data"]["result"]
        found = {}
        for row in rows:
            labels = {name: value for name, value in row["metric"].items() if name not in ("job", "instance")}
            found[by_number((labels.pop("__name__"), frozenset(labels.items())))] = bits(float(row["value"][1]))
        return found

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def without_empty(found: dict[Series, bytes]) -> dict[Series, bytes]:
    """As Prometheus stores them: to it a label without a value is none."""
    return {(name, frozenset(pair for pair in labels if pair[1])): value for (name, labels), value in found.items()}


@pytest.mark.slow
def test_a_real_prometheus_stores_what_was_meant(tmp_path: Path) -> None:
    """A sample of the snapshots goes through its scrape, its database and its query language in both formats."""
    not_for_one_seed()
    campaign = Campaign("snapshot")
    seeds = range(0, MANY, max(1, MANY // SAMPLED))
    samples = [column for seed in seeds for column in Snapshots(campaign.dice(seed), seed).next()]
    expected = without_empty(meant(tuple(samples)))
    assert len(expected) > len(seeds)
    with pages(samples) as address:
        prometheus = Prometheus(tmp_path, address)
        try:
            for format in Format:
                selector = f'{{job="{format.name}",__name__=~"fuzz_.*"}}'
                until(lambda selector=selector: bool(prometheus.series(selector)), 30.0, "a scrape")  # type: ignore[misc]
                stored = prometheus.series(selector)
                different = {name for name in expected.keys() | stored.keys() if expected.get(name) != stored.get(name)}
                assert different == set(), f"{format.name}: {sorted(map(repr, different))[:10]}"
        finally:
            prometheus.close()
