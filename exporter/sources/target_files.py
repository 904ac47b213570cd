"""Targets from files: each file is on its own, and one that cannot be read keeps the targets it last had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from exporter.config.globs import matches
from exporter.config.problems import ConfigError
from exporter.config.target_file import TargetFile, load_targets
from exporter.model.collector import Offload
from exporter.model.problem import Problem
from exporter.model.reason import Flaw
from exporter.model.target import Target
from exporter.publishing.listing import Invalid, Listing
from exporter.sources.reading import Reader

KIND = "file"


class TargetFiles:
    """The origin of all targets in files; `paths` are absolute, and patterns among them may match nothing."""

    name = kind = KIND

    def __init__(self, paths: Iterable[Path], environ: Mapping[str, str], offload: Offload) -> None:
        self._paths = tuple(paths)
        self._environ = environ
        self._read = Reader(offload)
        self._last: Mapping[Path, tuple[Target, ...]] = {}
        self.watched: Collection[Path] = self._paths

    async def list(self) -> Listing:
        """Reads all files, on a thread: a file system may hang."""
        last = self._last
        reading = await self._read(lambda: _Reading(self._paths, self._environ, last))
        # Taken over here and not on the thread: one that nobody waits for any more may end at any time.
        self._last = reading.targets
        self.watched = (*self._paths, *reading.watched)
        return reading.listing()

    async def close(self) -> None:
        """Waits for nothing any more."""
        self._read.close()


class _Reading:
    """One look at all files."""

    def __init__(
        self, paths: Sequence[Path], environ: Mapping[str, str], last: Mapping[Path, tuple[Target, ...]]
    ) -> None:
        self.targets: dict[Path, tuple[Target, ...]] = {}
        self.invalid: list[Invalid] = []
        self.watched: dict[Path, None] = {}
        self._seconds = {"parse": 0.0, "validate": 0.0}
        for path in dict.fromkeys(file for place in paths for file in matches(place)):
            try:
                self._add(path, load_targets(path, environ))
            except ConfigError as error:
                self.targets[path] = last.get(path, ())
                self.invalid.append(_invalid(str(path), error.problems, Flaw.SYNTAX))

    def _add(self, path: Path, file: TargetFile) -> None:
        self._seconds["parse"] += file.parse_seconds
        self._seconds["validate"] += file.validate_seconds
        self.watched.update(dict.fromkeys(file.watched))
        self.targets[path] = tuple(
            document.to_target(KIND, f"{path}[{index}]") for index, document in file.documents.items()
        )
        for index, problems in sorted(file.problems.items()):
            self.invalid.append(_invalid(f"{path}[{index}]", problems, Flaw.FIELD))

    def listing(self) -> Listing:
        return Listing(
            origin=KIND,
            targets=tuple(target for targets in self.targets.values() for target in targets),
            invalid=tuple(self.invalid),
            seconds=self._seconds if self.targets else {},
        )


def _invalid(document: str, problems: Sequence[Problem], flaw: Flaw) -> Invalid:
    """A document that gives no target counts once, with all that is wrong with it."""
    unread = any("cannot read" in problem.message for problem in problems)
    return Invalid(KIND, document, Flaw.MISSING if unread else flaw, "; ".join(map(str, problems)))
