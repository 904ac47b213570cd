"""How a mistake in a configuration is told."""

from exporter.model.problem import Problem, Reloaded


def test_a_problem_tells_its_place_as_far_as_it_is_known() -> None:
    assert str(Problem("is no number", "cycle.interval", "a.yaml", 3, 7)) == "a.yaml:3:7: cycle.interval: is no number"
    assert str(Problem("cannot be read", file="a.yaml")) == "a.yaml: cannot be read"
    assert str(Problem("is missing")) == "is missing"


def test_a_reload_that_changed_nothing_is_empty() -> None:
    assert Reloaded() == Reloaded((), ())
