"""Texts that are, or nearly are, configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated

_TESTS = Path(__file__).parents[1]
_WHOLE = [_TESTS.parent / "config.example.yaml", *sorted((_TESTS / "config" / "bad").glob("*.yaml"))]
CORPUS = [file.read_bytes()[:4000] for file in _WHOLE]

# A short text that stands for a billion values.
_ALIASES = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9)).encode()

# Stands where secrets stand. It looks like a URL, and therefore like neither a key nor the name of a file.
CANARY = "zqC4n4ry://zq/secret"

TOKENS = [
    *(b"- ", b"? ", b": ", b":", b"  ", b"\t", b"\n", b"\r\n", b"\r", b"---\n", b"...\n", b"#", b"%YAML 1.1\n---\n"),
    *(b"[", b"]", b"{", b"}", b"{a: ", b"- - - ", b",", b"'", b'"', b"|\n", b">-\n", b"|9\n", b"&a ", b"*a", b"<<: *a"),
    *(b"&a [*a]", b"&b {c: *a, d: *a}", b"!!python/object/apply:os.system ['true']", b"!!binary a", b"!!set ", b"! "),
    *(b"!<tag:yaml.org,2002:str> ", b"!!int ", b"!!float ", b"!!null x", b"= ", b"@", b"`", b"\\", b'"\\ud800"'),
    *(b'"\\x', b'"\\U0001F600"', b"\x00", b"\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xff"),
    *(b"\xf0\x9f\x9a\xa8", b"\x1b[31m", b"\x7f", b"NO", b"on", b"~", b"null", b"1:30", b"0o17", b"017", b"1_000"),
    *(b".inf", b"-.nan", b"1e999", b"1.0e+308", b"9" * 400, b"-1", b"0x", b"2001-01-01", b"1h30m", b"9999999999y"),
    *(b"-1s", b"0s", b"${HOME}", b"${", b"${X:-${Y}}", b"$$", b"${NOT_TEXT}", b"${LONG}" * 50, b"${NONE}", b"${X:-}"),
    *(b"::1", b"[::1]:0", b"10.0.0.1/8", b"0.0.0.0/0", b"/dev/zero", b"..", b"/proc/self/environ", b"\\n", b"a/b"),
    *(b"http://[", b"https://a:b@c", b"http://\xc3\x9f.x", f"'{CANARY}'".encode(), CANARY.encode()),
    *(b"static:\n  - name: a\n    type: slack\n    url: ", b"targets: {static: [{}]}\n", b"plugins: [a, a]\n"),
    *(
        b"headers_file: {a: b}\n",
        b"url_file: secret\n",
        b"tls: {ca_file: pem}\n",
        b"collectors: {health: {probe: {}}}\n",
    ),
]

ENVIRONMENT = {
    "HOME": "/",
    "X": "5",
    "LONG": "x" * 40_000,
    "NOT_TEXT": "a\udcff",
    "TOKEN": CANARY,
    "SLACK": CANARY,
}

_DURATIONS = ("1s", "5m", "1h30m", "0s", "x", "", "-1s", "100y", "9999999999y", "1", "5 s")
_NAMES = ("a", "ops-slack", "", "-", "x" * 64, "Ä", "a b", "../..", "\x00", "a\nb", CANARY)
_PLACES = ("127.0.0.1:0", ":0", "[::1]:1", "x:99999", ":", "", "::1", "a b:1", "[::1", "localhost:http")
_URLS = (f"https://h/{CANARY}", "http://", "ftp://x", "https://[::1", "http://h:99999", "//", CANARY, "https://ä.x/")
_NETWORKS = ("10.0.0.0/8", "::/0", "::ffff:1.2.3.4", "10.0.0.1/8", "1.2.3", "fe80::1%x", "0/0", "10.0.0.0/-1")
_FILES = ("secret", "pem", "none", "..", "", "/dev/zero", "\x00", "x" * 5000, "empty", "latin", CANARY)
_ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    [],
    {},
    [[]],
    "",
    "x",
    CANARY,
    {"": None},
    [None],
    "${X}",
    "${NONE}",
    1.5,
)


def text(dice: Random) -> str:
    """A configuration, more or less."""
    kind = dice.random()
    if kind < 0.01:
        data = mutated(dice, _ALIASES, TOKENS, 1)
    elif kind < 0.35:
        data = mutated(dice, _chunk(dice), TOKENS)
    else:
        data = _written(dice, _document(dice)).encode(errors="replace")
        data = mutated(dice, data, TOKENS, dice.choice((0, 0, 1, 4)))
    return data.decode(errors="replace")


def _chunk(dice: Random) -> bytes:
    """Some lines of a file that was written by hand, perhaps with some of another."""
    parts = []
    for _ in range(dice.choice((1, 1, 1, 2))):
        lines = dice.choice(CORPUS).splitlines(keepends=True)
        start = dice.randrange(len(lines) + 1)
        parts += lines[start : start + dice.randrange(1, 25)]
    return b"".join(parts)


def _document(dice: Random) -> object:
    document: dict[str, object] = {}
    for key, make in dice.sample(list(_SECTIONS.items()), dice.randrange(1, 6)):
        document[key] = _or_odd(dice, make)
    return document


def _or_odd(dice: Random, make: Callable[[Random], object]) -> object:
    return dice.choice(_ODD) if dice.random() < 0.03 else make(dice)


def _some(dice: Random, **makers: Callable[[Random], object]) -> dict[str, object]:
    """A mapping with some of these keys, and now and then with one that is not among them."""
    chosen = {key: _or_odd(dice, make) for key, make in makers.items() if dice.random() < 0.7}
    if dice.random() < 0.04:
        chosen[dice.choice(_NAMES)] = dice.choice(_ODD)
    return chosen


def _one_of(*values: object, good: int = 1) -> Callable[[Random], object]:
    """One of the values, and mostly of the first ones, which are good: else hardly a document were free of mistakes."""
    return lambda dice: dice.choice(values[:good] if dice.random() < 0.7 else values)


def _list(make: Callable[[Random], object]) -> Callable[[Random], object]:
    return lambda dice: [_or_odd(dice, make) for _ in range(dice.randrange(4))]


def _mapping(make: Callable[[Random], object]) -> Callable[[Random], object]:
    return lambda dice: {dice.choice(_NAMES): _or_odd(dice, make) for _ in range(dice.randrange(3))}


_duration, _number, _flag = (
    _one_of(*_DURATIONS, good=2),
    _one_of(1, 200, 0, -1, 1.5, 10**30, "5", good=2),
    _one_of(True, False, good=2),
)
_file, _name = _one_of(*_FILES, good=2), _one_of(*_NAMES, good=2)


def _target(dice: Random) -> object:
    return _some(
        dice,
        name=_name,
        type=_one_of("rootly", "pagerduty", "slack", "webhook", "SLACK", "x", good=4),
        format=_one_of("slack", "webhook", "x", good=2),
        url=_one_of(*_URLS),
        url_file=_file,
        enabled=_flag,
        headers=_mapping(_one_of("x", CANARY, "a\r\nb", "${TOKEN}")),
        headers_file=_mapping(_file),
        filter_config=_mapping(_one_of(*_ODD)),
    )


def _health(dice: Random) -> object:
    return _some(
        dice,
        enabled=_flag,
        interval=_duration,
        timeout=_duration,
        families=lambda dice: _some(dice, include=_list(_name), exclude=_list(_name)),
        probe_timeout=_duration,
        concurrency=_number,
        unhealthy_after=_number,
        degraded_latency=_duration,
        window=_duration,
        tls=lambda dice: _some(dice, ca_file=_file, server_name=_name, cert_file=_file, key_file=_file),
        probe=_mapping(
            lambda dice: _some(dice, method=_one_of("GET", "x"), reachable=_list(_number), send_headers=_flag)
        ),
    )


_SECTIONS: dict[str, Callable[[Random], object]] = {
    "metric_prefix": _one_of("publishing", "", "1", "a:b", "x" * 65),
    "cycle": lambda dice: _some(dice, interval=_duration, timeout=_duration),
    "targets": lambda dice: _some(
        dice,
        static=_list(_target),
        policy=lambda dice: _some(
            dice, allow_networks=_list(_one_of(*_NETWORKS, good=3)), deny_networks=_list(_one_of(*_NETWORKS, good=3))
        ),
    ),
    "collectors": lambda dice: _some(dice, health=_health, other=_mapping(_number)),
    "plugins": _list(_name),
    "limits": lambda dice: _some(dice, series_per_collector=_number, series_total=_number, label_value_bytes=_number),
    "web": lambda dice: _some(
        dice, listen_addresses=_list(_one_of(*_PLACES, good=3)), telemetry_path=_one_of("/", "/m", "m", "/-/x"), x=_flag
    ),
    "log": lambda dice: _some(dice, level=_one_of("debug", "info", "x"), format=_one_of("json", "logfmt", "x")),
}


def _written(dice: Random, value: object, indent: int = 0) -> str:
    """YAML in one of the ways people write it."""
    if not value or not isinstance(value, dict | list) or dice.random() < 0.15:
        plain = isinstance(value, str) and value.isalnum() and dice.random() < 0.7
        return f"{value}\n" if plain else json.dumps(value, ensure_ascii=dice.random() < 0.5) + "\n"
    pad = " " * indent
    lines = []
    items = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    for key, item in items:
        head = "-" if key is None else f"{key if key.isidentifier() else json.dumps(key)}:"
        nested = bool(item) and isinstance(item, dict | list)
        body = _written(dice, item, indent + 2)
        lines.append(f"{pad}{head}\n{body}" if nested and body.startswith(" ") else f"{pad}{head} {body}")
    return "".join(lines)
