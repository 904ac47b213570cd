"""How much memory there may be, how much there is, and which collectors have to wait when it runs short."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from exporter.instruments.log import say
from exporter.instruments.meter import Meter

_log = logging.getLogger("exporter.memory")

# The soft limit leaves this share of the hard one for what cannot be refused: pages, requests, the allocator's slack.
MARGIN = 0.2
# Once short, memory has to fall this far below the soft limit before all is well again: else it would go to and fro.
RELIEF = 0.95
# Below this share of the soft limit nobody is suspected of anything, and watching costs nothing.
WATCH_FROM = 0.5
# Who has fewer series than this is not what fills the memory.
BIG = 1_000
_UNLIMITED = 1 << 60  # the older control groups write a huge number instead of none
_MIB = 1 << 20


class Ceiling(NamedTuple):
    """A hard limit. That of a control group counts memory in use, that of the process addresses given out."""

    bytes: int
    virtual: bool


def ceiling(root: Path = Path("/")) -> Ceiling | None:
    """The lowest hard limit on this process; None if there is none."""
    limits = [Ceiling(number, False) for number in _control_groups(root)]
    addresses = resource.getrlimit(resource.RLIMIT_AS)[0]
    if addresses != resource.RLIM_INFINITY:
        limits.append(Ceiling(addresses, True))
    return min((limit for limit in limits if 0 < limit.bytes < _UNLIMITED), default=None)


def _control_groups(root: Path) -> Iterator[int]:
    names: tuple[str, ...]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            mount, names = root / "sys/fs/cgroup", ("memory.max", "memory.high")
        elif "memory" in controllers.split(","):
            mount, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes",)
        else:
            continue
        # Each level may have a limit. In a container the levels above are out of sight, and its own is the mount.
        levels = PurePosixPath(group.strip("/"))
        for level in (levels, *levels.parents):
            for name in names:
                text = _text(mount / level / name).strip()
                if text.isdigit():
                    yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


class Usage:
    """Memory of this process. The file stays open: it must be readable when no descriptor is left."""

    def __init__(self, virtual: bool) -> None:
        self._column = 0 if virtual else 1
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._file = os.open("/proc/self/statm", os.O_RDONLY)

    def __call__(self) -> int:
        return int(os.pread(self._file, 128, 0).split()[self._column]) * self._page

    def __del__(self) -> None:
        os.close(self._file)


class Memory:
    """Above the soft limit one collector after the other has to wait, the greatest first, until there is room again."""

    def __init__(self, meter: Meter, hard: int | None = None, used: Callable[[], int] = lambda: 0) -> None:
        self._used = used
        self._soft = None if hard is None else int(hard * (1 - MARGIN))
        self._growth = Growth(used)
        self._refused: dict[str, None] = {}
        self.short = False
        self.watching = False
        limit = meter.gauge(
            "memory_soft_limit_bytes",
            "Memory above which collectors with many series and pages of a part are refused.",
            unit="bytes",
        )
        if self._soft is not None:
            limit.labels().set(float(self._soft))
        self._short = meter.gauge("memory_short", "Whether memory is above its soft limit.").labels()

    @classmethod
    def of_this_process(cls, meter: Meter) -> Memory:
        """With the limits the system has set, if there are any."""
        hard = ceiling()
        try:
            return cls(meter) if hard is None else cls(meter, hard.bytes, Usage(hard.virtual))
        except OSError:  # a system that does not tell
            return cls(meter)

    def refuses(self, name: str) -> bool:
        """Whether a collector has to wait."""
        return name in self._refused

    def forget(self, names: set[str]) -> None:
        """Keeps nothing of collectors that are gone."""
        for name in self._refused.keys() - names:
            del self._refused[name]
        self._growth.forget(names)

    def review(self, series: Callable[[], Mapping[str, int]]) -> None:
        """Looks at the memory before a cycle; `series` tells how many of them each collector has."""
        if self._soft is None:
            return
        used = self._used()
        self._watch(used >= self._soft * WATCH_FROM)
        if used >= self._soft:
            if not self.short:
                self._tell(logging.WARNING, "memory is short: the greatest have to wait", used, True)
            self._refuse_one(series())
        elif self.short and used < self._soft * RELIEF:
            if self._refused:
                self._refused.popitem()
            if not self._refused:
                self._tell(logging.INFO, "memory is no longer short", used, False)

    def _watch(self, watching: bool) -> None:
        if watching and not self.watching:
            self._growth.begin()
        self.watching = watching

    def _refuse_one(self, series: Mapping[str, int]) -> None:
        big = {name: number for name, number in series.items() if number >= BIG and name not in self._refused}
        grown = self._growth.greatest()
        if grown in series and grown not in self._refused:
            self._refused[grown] = None
        elif big:
            self._refused[max(big, key=big.__getitem__)] = None

    def _tell(self, level: int, message: str, used: int, short: bool) -> None:
        self.short = short
        self._short.set(float(short))
        soft = self._soft or 0
        fields = {"used_mib": used // _MIB, "soft_limit_mib": soft // _MIB}
        grown = self._growth.greatest()
        say(_log, level, message, **fields, **({"grown_most": grown} if short and grown else {}))

    # -- who is it?

    def began(self, name: str) -> None:
        """A run begins."""
        self._growth.turn()
        self._growth.running.add(name)

    def ended(self, name: str, alone: bool = False) -> None:
        """A run has ended; `alone` if nothing else could happen while it lasted."""
        self._growth.turn({name} if alone else None)
        self._growth.running.discard(name)


class Growth:
    """Credits each change of memory to those whose runs were under way meanwhile, in equal parts."""

    def __init__(self, used: Callable[[], int]) -> None:
        self._used = used
        self._first = self._last = 0
        self._by: dict[str, float] = {}
        self.running: set[str] = set()

    def begin(self) -> None:
        """Begins anew."""
        self._first = self._last = self._used()
        self._by.clear()
        self.running.clear()

    def turn(self, by: set[str] | None = None) -> None:
        """Credits what changed since the last turn: to these, or to all that are running."""
        used, names = self._used(), self.running if by is None else by
        for name in names:
            self._by[name] = self._by.get(name, 0.0) + (used - self._last) / len(names)
        self._last = used

    def greatest(self) -> str:
        """Who caused more than half of the growth since the beginning; empty if that cannot be said of anybody."""
        name = max(self._by, key=self._by.__getitem__, default="")
        grown = self._used() - self._first
        return name if name and grown > 0 and self._by[name] > grown / 2 else ""

    def forget(self, names: set[str]) -> None:
        """Keeps nothing of collectors that are not among these."""
        self._by = {name: grown for name, grown in self._by.items() if name in names}
        self.running &= names
