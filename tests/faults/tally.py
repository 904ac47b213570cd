"""What a run of the suite has shown, and the lines that tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.faults.rows import ROWS, row_of


@dataclass
class Tally:
    """Which rows were survived, a row being survived if all its tests passed; and what was searched for secrets."""

    rows: dict[str, bool] = field(default_factory=dict)
    outputs: int = 0
    searches: int = 0
    found: int = 0

    def note(self, nodeid: str, outcome: str) -> None:
        """Takes one report of one test into account."""
        row = row_of(nodeid)
        if row is not None and outcome in ("passed", "failed", "error", "skipped"):
            self.rows[row] = self.rows.get(row, True) and outcome == "passed"

    def add(self, other: Tally) -> None:
        """Takes another run into account."""
        for row, survived in other.rows.items():
            self.rows[row] = self.rows.get(row, True) and survived
        self.outputs += other.outputs
        self.searches += other.searches
        self.found += other.found

    def lines(self) -> Iterator[str]:
        """What there is to say; the last line is the sum of it."""
        missing: Mapping[str, list[str]] = {
            "not survived": [f"{row} ({ROWS[row]})" for row in ROWS if self.rows.get(row) is False],
            "not covered": [row for row in ROWS if row not in self.rows],
        }
        yield from (f"{word}: " + "; ".join(rows) for word, rows in missing.items() if rows)
        yield f"{self.searches:,} searches for secrets in {self.outputs:,} outputs, {self.found} found"
        yield f"faults survived: {sum(self.rows.get(row, False) for row in ROWS)} of {len(ROWS)}"

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What was saved; nothing, if the run did not get that far."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()
