"""What holds for every test of the daemon."""

import pytest

from exporter.config import watch


@pytest.fixture(autouse=True)
def _files_are_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every change of a file would be waited for."""
    monkeypatch.setattr(watch, "EVERY", 0.1)
