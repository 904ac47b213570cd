"""What counts as a collector."""

from exporter.model.collector import Collector, Derived
from tests.engine.build import Deriving, steady, things


def test_a_collector_is_what_has_the_methods() -> None:
    derived = Deriving("score", lambda results: things("a"))
    assert isinstance(steady("a"), Collector)
    assert isinstance(derived, Derived)
    assert not isinstance(derived, Collector)
