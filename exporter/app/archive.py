"""The history of the daemon and what is read out of it, where the configuration wants one."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.config.schema import Config
from exporter.history.figures import Figures
from exporter.history.options import LEAST_GAP, Options
from exporter.instruments.log import say
from exporter.instruments.meter import Meter
from exporter.model.collector import Clock, Offload
from exporter.model.snapshot import Feed
from exporter.publishing.outlook import Outlook

if TYPE_CHECKING:
    from exporter.history.history import History

_log = logging.getLogger("exporter")


class Archive:
    """Both or neither, for as long as the daemon runs."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        offload: Offload,
        clock: Clock,
        meter: Meter,
        refuse: Callable[[], bool],
    ) -> None:
        self.history: History | None = None
        self.outlook: Outlook | None = None
        # Without a history too: which families there are does not depend on the configuration.
        figures = Figures(meter)
        if config.history.path is None:
            return
        from exporter.history.history import History  # SQLite is nothing to load where nothing is kept

        path = Path(folder, config.history.path).absolute()
        self.history = History(path, history_of(config), figures, offload, refuse)
        self.outlook = Outlook(self.history, clock, offload)

    def configure(self, config: Config) -> None:
        """Sets what is kept from now on, and under which names it is asked for."""
        if self.history is not None:
            self.history.configure(history_of(config))
        if self.outlook is not None:
            self.outlook.prefix = config.metric_prefix

    def work(self, feed: Feed) -> Iterator[Coroutine[Any, Any, None]]:
        """Begins; what is to be run from then on."""
        if self.history is not None:
            self.history.start()
            yield self.history.follow(feed.subscribe())
        if self.outlook is not None:
            yield self.outlook.follow(feed.subscribe())

    async def stop(self, feed: Feed, patience: float) -> None:
        """Stores the last snapshot, and all that waits."""
        if self.history is None:
            return
        if (last := feed.current()) is not None:
            self.history.take(last)
        if not await self.history.stop(patience):
            say(_log, logging.WARNING, "history did not end in time")


def history_of(config: Config) -> Options:
    """What is kept of earlier snapshots; the prefix of the publishing families applies to its patterns as well."""
    return Options(
        series=tuple(re.sub("^publishing_", f"{config.metric_prefix}_", pattern) for pattern in config.history.series),
        minutes=config.history.minutes,
        retention=config.history.retention,
        gap=max(LEAST_GAP, 3 * config.cycle.interval),
    )
