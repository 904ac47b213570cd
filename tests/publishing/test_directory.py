"""The directory of targets."""

from exporter.model.secret import Secret
from exporter.model.target import Target
from exporter.publishing.directory import TargetDirectory


def target(name: str, path: str = "") -> Target:
    return Target(name=name, type="webhook", format="webhook", url=Secret(f"https://h/{path}"))


def test_a_new_directory_is_empty() -> None:
    assert dict(TargetDirectory().current()) == {}


def test_a_change_swaps_the_whole_map() -> None:
    directory = TargetDirectory([target("a")])
    before = directory.current()
    assert directory.replace([target("b"), target("c")])
    assert list(before) == ["a"]
    assert list(directory.current()) == ["b", "c"]


def test_replacing_with_the_same_changes_nothing() -> None:
    directory = TargetDirectory([target("a"), target("b")])
    before = directory.current()
    assert not directory.replace([target("a"), target("b")])
    assert directory.current() is before
    assert directory.replace([target("b"), target("a")]), "the order is what people see"
    assert directory.replace([target("b"), target("a", "secret")]), "a new URL is a change"


def test_of_two_targets_with_one_name_the_first_stays() -> None:
    directory = TargetDirectory([target("a", "1"), target("a", "2")])
    assert directory.current()["a"] == target("a", "1")


def test_looking_targets_up_is_counted() -> None:
    directory = TargetDirectory([target("a")])
    assert directory.get("a") == target("a")
    assert directory.get("b") is None
    assert directory.list() == (target("a"),)
    assert directory.get_by_type("webhook") == (target("a"),)
    assert directory.get_by_type("slack") == ()
    (lookups,) = directory.meter.capture()
    assert dict(lookups.rows()) == {
        ("get", "hit"): (1.0,),
        ("get", "miss"): (1.0,),
        ("list", "hit"): (1.0,),
        ("get_by_type", "hit"): (1.0,),
        ("get_by_type", "miss"): (1.0,),
    }
