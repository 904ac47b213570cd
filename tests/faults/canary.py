"""Secrets that must never be seen again once they are in the configuration, and the search for them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import cast

from tests.faults.process import Daemon

# Letters and digits only: quoting, escaping and URL encoding leave them as they are, so the word itself is found in
# every such form of a secret around it.
CANARIES = {
    "path": "zqPath7Kx9vWm3",
    "query": "zqQuery4Rt8bNs6",
    "header": "zqHeader2Lp5cYd1",
    "url_file": "zqUrlFile9Hj3gTf7",
    "headers_file": "zqHeaderFile6Vb1kXn4",
    "variable": "zqVariable3Zs8wQe2",
    "option": "zqOption5Mf7rUc9",
    "exception": "zqException1Gd4hPj6",
    "mistake": "zqMistake8Bn2vLx5",
    "secret_path": "zqSecretPath3Kd8tWn",
    "secret_header": "zqSecretHeader7Yb2",
    "secret_padding": "zqSecretPadding5Qc9",
    "bearer": "zqBearer4Xm6hRj1Vs",
    "aviary": "zqAviary8Nw5kTd2Lb",
}
ENVIRON = {"CANARY_VARIABLE": CANARIES["variable"]}


def _base64_forms(word: bytes) -> Iterator[str]:
    """How the word looks inside the base64 of a longer text, whatever stands in front of it and behind it."""
    for shift, spoiled in ((0, 0), (1, 2), (2, 3)):
        encoded = b64encode(b"\0" * shift + word).decode()
        yield encoded[spoiled : (shift + len(word)) * 8 // 6]


FORMS: Mapping[str, tuple[str, ...]] = {
    field: (word.lower(), word[::-1].lower(), word.encode().hex(), *_base64_forms(word.encode()))
    for field, word in CANARIES.items()
}


class Sweep:
    """How much has been searched so far: a sweep that looked nowhere found nothing either."""

    outputs = 0
    searches = 0
    found = 0


def hits(where: str, output: bytes) -> list[str]:
    """Which canaries an output shows, in whatever form."""
    found = _hits(where, output)
    Sweep.outputs += 1
    Sweep.searches += sum(map(len, FORMS.values()))
    Sweep.found += len(found)
    return found


def _hits(where: str, output: bytes) -> list[str]:
    text = output.decode(errors="replace")
    seen = (text, text.lower())
    return [
        f"{where} shows the secret of {field}"
        for field, forms in FORMS.items()
        if any(form in each for form in forms for each in seen)
    ]


_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def answers(daemon: Daemon) -> Iterator[tuple[str, bytes]]:
    """Everything it says over HTTP, errors included."""
    yield "/metrics", daemon.get("/metrics").body
    yield "/metrics as OpenMetrics", daemon.get("/metrics", Accept=_OPENMETRICS).body
    yield "/metrics compressed", gzip.decompress(daemon.get("/metrics", Accept_Encoding="gzip").body)
    for path in (*pages(daemon), "/nowhere", "/metrics?collect[]=nobody"):
        answer = daemon.get(path)
        yield path, repr(answer.headers).encode() + answer.body
    for path in ("", "/status", "/health", "/health/stats", "/health/nobody", "/nobody"):
        answer = daemon.get(f"/api/v2/publishing/targets{path}")
        yield path, repr(answer.headers).encode() + answer.body
    yield "/sd/targets", daemon.get("/sd/targets").body
    yield "/events", daemon.first_event()
    yield "POST /metrics", daemon.ask("POST", "/metrics").body
    for query in ("", "?dry_run=1", "?dry_run=maybe"):
        yield f"POST /-/reload{query}", daemon.reload(query).body
    yield "the arguments", daemon.command_line()


def pages(daemon: Daemon) -> list[str]:
    """Everything that can be read, by the daemon's own description; a target's own pages are those of the first."""
    described = cast(dict[str, dict[str, object]], daemon.get("/openapi.json").json()["paths"])
    streams = ("/events",)
    return [
        path.replace("{name}", "one").replace("{target}", "one")
        for path in described
        if "get" in described[path] and path not in streams
    ]


def files(daemon: Daemon) -> Iterator[tuple[str, bytes]]:
    """Everything it wrote: its two streams, files in its folder, and its databases."""
    yield "stdout", daemon.stdout.read_bytes()
    yield "stderr", daemon.stderr.read_bytes()
    for path in sorted([*daemon.folder.rglob("*"), *daemon.folder.parent.rglob("*.db*")]):
        with suppress(OSError):
            if path.is_file():
                yield path.name, path.read_bytes()
