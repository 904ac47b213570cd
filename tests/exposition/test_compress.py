"""gzip members put together from segments: every reader must take them for ordinary ones."""

from __future__ import annotations

import asyncio
import gzip as stdlib_gzip
import importlib.util
import random
import subprocess
import sys
import zlib

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exposition import compress
from exporter.exposition.compress import SEGMENT, Compressor, gzip
from tests.programs import program


def text(seed: int, size: int = SEGMENT) -> bytes:
    chance = random.Random(seed)
    lines = (f'metric_{seed}{{app="{i}"}} {chance.random()}\n' for i in range(size // 20))
    return "".join(lines).encode()[:size]


PIECES = [text(seed, 50 + seed * 3_000) for seed in range(12)]
TEXTS = {(seed, age): text(seed * 3 + age, 4_000 + 3_000 * seed) for seed in range(10) for age in range(3)}


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "zlib":
        monkeypatch.setattr(compress, "_compressobj", zlib.compressobj)
        monkeypatch.setattr(compress, "_crc32", zlib.crc32)
    else:
        assert "isal" in compress._compressobj.__module__
    return str(request.param)


@pytest.fixture
def deflated(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been compressed so far."""
    seen: list[bytes] = []
    real = compress._deflate

    def counting(part: list[bytes]) -> bytes:
        seen.append(b"".join(part))
        return real(part)

    monkeypatch.setattr(compress, "_deflate", counting)
    return seen


@pytest.mark.parametrize("pieces", [[], [b""], [b"a"], [b"# EOF\n"], [b"x" * SEGMENT] * 3, PIECES])
def test_python_reads_it(pieces: list[bytes]) -> None:
    for member in (Compressor().gzip(pieces), gzip(pieces)):
        assert stdlib_gzip.decompress(member) == b"".join(pieces)
        reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
        assert reader.decompress(member) + reader.flush() == b"".join(pieces)
        assert reader.eof
        assert not reader.unused_data  # one member, not several


async def test_aiohttp_and_curl_read_it() -> None:
    curl = program("curl")
    member = Compressor().gzip(PIECES)

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=member, headers={"Content-Encoding": "gzip"})

    application = web.Application()
    application.router.add_get("/", serve)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/"))
        async with session.get(url) as response:
            assert await response.read() == b"".join(PIECES)

        process = await asyncio.create_subprocess_exec(curl, "-sf", "--compressed", url, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        assert output == b"".join(PIECES)


def test_only_segments_with_something_new_are_compressed_again(deflated: list[bytes]) -> None:
    pieces = [text(seed) for seed in range(20)]
    compressor = Compressor()
    compressor.gzip(pieces)
    assert len(deflated) == 20
    deflated.clear()
    compressor.turn()
    pieces[7] = text(99)
    assert stdlib_gzip.decompress(compressor.gzip(pieces)) == b"".join(pieces)
    assert deflated == [text(99)]


def test_small_pieces_share_a_segment(deflated: list[bytes]) -> None:
    Compressor().gzip([text(seed, 1_000) for seed in range(100)])
    assert len(deflated) == 6
    assert all(len(part) >= SEGMENT for part in deflated[:-1])


def test_two_formats_in_turn_keep_their_segments(deflated: list[bytes]) -> None:
    pieces = [text(seed) for seed in range(4)]
    others = [text(seed) for seed in range(10, 14)]
    compressor = Compressor()
    for _ in range(3):
        compressor.gzip(pieces)
        compressor.gzip(others)
        compressor.turn()
    assert len(deflated) == 8


def test_segments_nobody_asked_for_are_forgotten(deflated: list[bytes]) -> None:
    compressor = Compressor()
    pieces = [text(1)]
    compressor.gzip(pieces)
    compressor.turn()
    compressor.turn()
    assert not compressor._segments
    assert not compressor._earlier
    compressor.gzip(pieces)
    assert len(deflated) == 2


def test_new_bytes_in_the_place_of_old_ones_are_not_mistaken_for_them() -> None:
    compressor = Compressor()
    for seed in range(50):
        compressor.turn()
        assert stdlib_gzip.decompress(compressor.gzip([text(seed)])) == text(seed)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=9), max_size=5))
def test_pages_that_change_at_random_are_always_right(rounds: list[list[tuple[int, int]]]) -> None:
    compressor = Compressor()
    for chosen in rounds:
        compressor.turn()
        pieces = [TEXTS[one] for one in chosen]
        assert stdlib_gzip.decompress(compressor.gzip(pieces)) == b"".join(pieces)


def test_without_isal_the_standard_library_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    assert compress.__spec__ is not None
    assert compress.__spec__.origin is not None
    spec = importlib.util.spec_from_file_location("compress_without_isal", compress.__spec__.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._compressobj is zlib.compressobj
    assert stdlib_gzip.decompress(module.gzip(PIECES)) == b"".join(PIECES)
