"""Prints the tables: all areas, or the ones named."""

from __future__ import annotations

import importlib
import os
import platform
import signal
import sys

from tests.benchmarks import harness

AREAS = {
    "p1": "p1_scrape",
    "p2": "p2_publish",
    "p3": "p3_cycle",
    "p4": "p4_footprint",
    "p5": "p5_discovery",
    "p6": "p6_history",
    "p7": "p7_publishing",
    "p7s": "p7_statistics",
    "p9": "p9_probes",
}


def main(wanted: list[str]) -> int:
    unknown = [area for area in wanted if area.lower() not in AREAS]
    if unknown:
        print(f"no such area: {', '.join(unknown)}; there are: {', '.join(AREAS)}", file=sys.stderr)
        return 2
    if not sys.platform.startswith("linux"):
        print("not measured: pinning and CPU clocks of other processes need Linux", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(1))  # by way of what stops the servers
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} cpus, load {load}; medians of {harness.REPEATS}")
    harness.here(harness.LOAD_CPU)
    for area in [area.lower() for area in wanted] or list(AREAS):
        for table in importlib.import_module(f"tests.benchmarks.{AREAS[area]}").tables():
            table.print()
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
