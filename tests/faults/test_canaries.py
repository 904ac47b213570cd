"""The one path that takes a body, and whoever sends it what it was not made for."""

from __future__ import annotations

import gzip
import json
import threading
import time

import pytest

from exporter.web.canary import LARGEST, PATH, PATIENCE
from tests.faults.canary import CANARIES
from tests.faults.clients import Client, Said, ask, get
from tests.faults.process import Daemon, until
from tests.faults.scene import Config, Scene

pytestmark = pytest.mark.slow

MARK = "zqReflected5"
GRACE = 5.0
TOKEN, JSON = f"Authorization: Bearer {CANARIES['aviary']}", "Content-Type: application/json"


def sending(scene: Scene) -> Config:
    """Sends one to a receiver that takes it and never brings it back; nothing of it is scraped."""
    config = scene.config()
    options = {"token": CANARIES["aviary"], "interval": "1h", "timeout": "1h"}
    url = scene.receiver.url("/metrics")
    config["publishing_services"] = [{"name": "am", "url": url, "dialect": "alertmanager", "canary": options}]
    config["collectors"] |= {name: {"enabled": False} for name in ("queue", "publishers")}
    return config


def post(daemon: Daemon, body: bytes, *lines: str, length: int | None = None) -> Said:
    lines = lines or (TOKEN, JSON)
    stated = len(body) if length is None else length
    return ask(daemon.port, get(PATH, *lines, f"Content-Length: {stated}", method="POST") + body, to_the_end=True)


def alert(id: object) -> bytes:
    return json.dumps({"alerts": [{"labels": {"canary_id": id}}]}).encode()


BODIES = {
    "an unknown id": (alert(MARK), 200),
    "an id of 40 kB": (alert(MARK + "x" * 40_000), 200),
    "2,000 ids": (b'{"alerts":[' + b",".join([b'{"labels":{"canary_id":""}}'] * 1_500) + b"]}", 200),
    "an id that is no text": (alert({MARK: 1}), 400),
    "no JSON": (MARK.encode(), 400),
    "no text": (bytes(range(256)) * 100, 400),
    "a name that is no text": (b'{"\xff": 1}', 400),
    "nested without end": (b'{"alerts":' + b"[" * 40_000, 400),
    "a number without end": (b'{"alerts": ' + b"9" * 40_000, 400),
    "too large": (bytes(LARGEST + 1), 413),
}


def test_WEB8_hostile_bodies_are_neither_told_back_nor_logged_where_a_canary_comes_back(scene: Scene) -> None:
    daemon = scene.start(sending(scene))
    before = daemon.vitals().rss
    with scene.fault():
        for _ in range(3):
            for what, (body, status) in BODIES.items():
                said = post(daemon, body)
                assert (said.status, said.closed) == (status, True), what
                assert MARK not in said.raw.decode(), what
                assert said.seconds < GRACE, what
        bomb = gzip.compress(bytes(10 << 20))
        assert post(daemon, bomb, TOKEN, JSON, "Content-Encoding: gzip").status == 415
    assert MARK not in daemon.log()
    assert daemon.vitals().rss - before < 20


def test_WEB8_without_the_token_no_body_is_waited_for(scene: Scene) -> None:
    daemon = scene.start(sending(scene))
    with scene.fault():
        for line in ("X: y", "Authorization: Bearer", f"{TOKEN}x", TOKEN[:-1], f"Authorization: Basic {MARK}"):
            said = post(daemon, b"{", line, JSON, length=40_000)
            assert (said.status, said.code) == (401, "unauthorized"), line
            assert said.seconds < GRACE


def test_WEB1_bodies_that_drip_are_cut_off_while_others_come_home(scene: Scene) -> None:
    daemon = scene.start(sending(scene))
    head = get(PATH, TOKEN, JSON, "Content-Length: 40000", method="POST")
    with scene.fault():
        clients = [Client(daemon.port, head + b"{") for _ in range(200)]
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for client in clients:
                    client.send(b" ")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE - 2:
            assert post(daemon, alert("x")).seconds < 1.0
            time.sleep(0.5)
        stop.set()
        thread.join()
        said = clients[0].hear(2 + GRACE)
        assert (said.status, said.code, said.closed) == (408, "timeout", True)
        for client in clients:
            client.close()
        until(lambda: daemon.page().own("http_connections") <= 4, GRACE, "all are forgotten")
