"""How well alerts get out, as one number and target by target: from what the other collectors found in this cycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.collectors.parts import Parts
from exporter.config.schema import CollectorOptions
from exporter.model.metric import Family, Result, Samples
from exporter.publishing.outlook import NOTHING, Outlook
from exporter.publishing.signals import Use
from exporter.publishing.statistics import Book, ScoreDetail
from exporter.publishing.world import World


class Options(CollectorOptions):
    """What may be set under `collectors.score`."""


class ScoreCollector:
    """Puts probes, queues, publishers and history together."""

    name = "score"

    def __init__(self, prefix: str, outlook: Outlook | None) -> None:
        self._outlook = outlook
        self._book = Book()
        self._score = Family(f"{prefix}_health_score", "How well alerts get out, from 0 to 100.")
        self._component = Family(
            f"{prefix}_health_score_component", "The parts of the score, from 0 to 100.", labels=("component",)
        )
        self._signal = Family(
            f"{prefix}_target_signal",
            "Whether a step of a delivery to the target works; absent if it is not known.",
            labels=("target", "signal"),
        )
        self._last = Family(
            f"{prefix}_target_last_publish_timestamp_seconds",
            "When a delivery to the target last ended so.",
            labels=("target", "result"),
            unit="seconds",
        )
        self._use = Family(
            f"{prefix}_target_use",
            "Whether a service publishes to the target, and it is configured here: 1 for what is the case.",
            labels=("target", "state"),
        )
        self.families: Sequence[Family] = (self._score, self._component, self._signal, self._last, self._use)

    def derive(self, results: Mapping[str, Result]) -> Result:
        """The same numbers as series, and in the detail for pages and answers."""
        world = World.of({name: result.detail for name, result in results.items()})
        detail = self._book.standing(world, self._outlook.view() if self._outlook is not None else NOTHING)
        return Result(tuple(self._samples(detail)), detail)

    def _samples(self, detail: ScoreDetail) -> Iterator[Samples]:
        score, targets = detail.score, detail.targets.items()
        yield Samples.of(self._score, {} if score.score is None else score.score)
        yield Samples.of(
            self._component,
            {(name,): part.value for name, part in score.components.items() if part.value is not None},
        )
        yield Samples.of(
            self._signal,
            {(name, signal): float(yes) for name, target in targets for signal, yes in target.signals.items()},
        )
        yield Samples.of(
            self._last, {(name, result): at for name, target in targets for result, at in target.last.times().items()}
        )
        yield Samples.of(
            self._use,
            {(name, use): float(use is target.use) for name, target in targets if target.use for use in Use},
        )


def build(options: Options, parts: Parts) -> ScoreCollector:
    """The collector; without history it knows what the services say of all the time they have run."""
    return ScoreCollector(parts.prefix, parts.outlook)
