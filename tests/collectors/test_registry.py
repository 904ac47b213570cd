"""The registry: what is found, what of it can be loaded, and what the configuration makes of it."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

import exporter.collectors
from exporter.collectors import registry
from exporter.collectors.bridge import Bridge
from exporter.collectors.parts import Parts
from exporter.collectors.registry import Bridged, Built, Catalogue, Module, builtin, clashes, plugins
from exporter.config.schema import CollectorOptions, config_model
from exporter.engine.clock import SystemClock
from exporter.model.collector import Collector, Derived, Run
from exporter.model.errors import Failure
from exporter.model.metric import Family, Kind, Result, Samples
from exporter.model.reason import Reason
from exporter.publishing.directory import TargetDirectory


class Plain:
    """A collector of our own kind."""

    def __init__(self, name: str, *families: Family) -> None:
        self.name = name
        self.families = families

    def collect(self, run: Run) -> Result:
        return Result(tuple(Samples.of(family, 1.0) for family in self.families))


def module(build: Any, options: type[CollectorOptions] = CollectorOptions) -> Module:
    return SimpleNamespace(Options=options, build=build)


def builds(collector: Any) -> Module:
    return module(lambda options, parts: collector)


@pytest.fixture
def parts() -> Parts:
    nowhere: Any = None  # no collector here sends a probe
    return Parts(clock=SystemClock(), prefix="publishing", tick=15.0, targets=TargetDirectory(), prober=nowhere)


def build(catalogue: Catalogue, parts: Parts, daemon: tuple[Family, ...] = (), **sections: Any) -> Built:
    config = config_model(catalogue.options)()
    changed = config.collectors.model_copy(update=sections)
    return catalogue.build(config.model_copy(update={"collectors": changed}), parts, daemon)


class Package:
    """An installed distribution with entry points, made of files as pip would."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def offers(self, name: str, value: str, code: str = "", package: str = "plugin") -> None:
        info = self.root / f"{package}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        points = info / "entry_points.txt"
        head = points.read_text() if points.exists() else f"[{registry.GROUP}]\n"
        points.write_text(f"{head}{name} = {value}\n")
        if code:
            (self.root / f"{value.partition(':')[0]}.py").write_text(dedent(code))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Package(tmp_path)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(str(sys.modules[name].__file__)).parent == tmp_path:
            del sys.modules[name]


OURS = """
    from exporter.config.schema import CollectorOptions
    from exporter.model.metric import Family, Result, Samples

    class Options(CollectorOptions):
        shout: bool = False

    class Hello:
        name = "hello"
        families = (Family("hello_world", "Greets."),)

        def collect(self, run):
            return Result((Samples.of(self.families[0], 1.0),))

    def build(options, parts):
        return Hello()
"""
THEIRS = """
    from prometheus_client.core import GaugeMetricFamily

    class Theirs:
        made = 0

        def __init__(self):
            Theirs.made += 1

        def collect(self):
            yield GaugeMetricFamily("theirs", "Theirs.", value=Theirs.made)

    instance = Theirs()
    factory = lambda: Theirs()
    number = 5
    nothing = lambda: None

    def broken():
        raise ValueError("a secret of theirs")
"""


def test_built_in_collectors_are_found_with_health_first() -> None:
    found = builtin()
    assert next(iter(found)) == "health"
    assert list(found)[1:] == sorted(list(found)[1:])
    assert {"parts", "registry", "bridge"}.isdisjoint(found)


def test_a_new_file_with_options_and_build_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "abacus.py").write_text(dedent(OURS))
    (tmp_path / "not_one.py").write_text("Options = 5\ndef build(options, parts): ...\n")
    monkeypatch.setattr(exporter.collectors, "__path__", [*exporter.collectors.__path__, str(tmp_path)])
    try:
        found = list(builtin())
    finally:
        for name in ("abacus", "not_one"):
            sys.modules.pop(f"exporter.collectors.{name}", None)
            vars(exporter.collectors).pop(name, None)
    assert found[:2] == ["health", "abacus"]
    assert "not_one" not in found


def test_a_plugin_module_is_loaded_built_and_run_like_a_built_in_one(package: Package, parts: Parts) -> None:
    package.offers("hello", "plugin_hello", OURS)
    catalogue = Catalogue.of(["hello"])
    assert list(catalogue.options) == [*builtin(), "hello"]
    assert "shout" in catalogue.options["hello"].model_fields
    collector = build(Catalogue({}, catalogue.outside), parts).collectors["hello"]
    assert isinstance(collector, Collector)
    result = collector.collect(Run(1, 1.0, 1.0))
    assert isinstance(result, Result)
    assert result.samples[0].values == (1.0,)


@pytest.mark.parametrize("attribute", ["Theirs", "instance", "factory"])
def test_a_prometheus_client_class_instance_or_factory_is_bridged(
    attribute: str, package: Package, parts: Parts
) -> None:
    package.offers("theirs", f"plugin_theirs:{attribute}", THEIRS)
    loaded, failed = plugins(["theirs"])
    assert failed == {}
    collector = build(Catalogue({}, loaded), parts).collectors["theirs"]
    assert isinstance(collector, Bridge)
    assert [column.family.name for column in collector.collect(Run(1, float("inf"), 0.0)).samples] == ["theirs"]


def test_a_prometheus_client_collector_is_made_once_for_all_configurations(package: Package, parts: Parts) -> None:
    package.offers("theirs", "plugin_theirs:factory", THEIRS)
    catalogue = Catalogue({}, plugins(["theirs"])[0])
    for _ in range(3):
        collector = build(catalogue, parts).collectors["theirs"]
    assert isinstance(collector, Bridge)
    # One was made by the module itself, one by its factory.
    assert collector.collect(Run(1, float("inf"), 0.0)).samples[0].values == (2.0,)


def test_a_plugin_loaded_earlier_is_kept_when_others_come_and_go(package: Package) -> None:
    package.offers("theirs", "plugin_theirs:factory", THEIRS)
    package.offers("hello", "plugin_hello", OURS)
    first = Catalogue.of(["theirs", "nowhere"])
    second = Catalogue.of(["hello", "theirs"], first)
    assert list(second.outside) == ["hello", "theirs"]
    assert second.outside["theirs"] is first.outside["theirs"]
    assert second.failed == {}
    assert list(Catalogue.of([], second).outside) == []


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("import no_such_dependency", "ModuleNotFoundError"),
        ("from exporter.model import nothing_of_this_name", "ImportError"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('token=hunter2')", "ValueError"),
        ("import sys; sys.exit('bye')", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Odd(BaseException): ...\nraise Odd", "Odd"),
        ("import asyncio\nraise asyncio.CancelledError", "CancelledError"),
    ],
)
def test_col14_a_plugin_that_fails_at_import_alone_is_off(code: str, detail: str, package: Package) -> None:
    package.offers("broken", "plugin_broken", code)
    package.offers("hello", "plugin_hello", OURS)
    loaded, failed = plugins(["broken", "hello"])
    assert list(loaded) == ["hello"]
    assert failed == {"broken": (Reason.INTERNAL, detail)}


@pytest.mark.parametrize(
    ("attribute", "reason", "detail"),
    [
        ("missing", Reason.INTERNAL, "AttributeError"),
        ("broken", Reason.INTERNAL, "ValueError"),
        ("number", Reason.CONFIG, "it is neither a module with Options and build nor a prometheus_client collector"),
        ("nothing", Reason.CONFIG, "it is neither a module with Options and build nor a prometheus_client collector"),
    ],
)
def test_col14_a_plugin_without_a_collector_is_off(
    attribute: str, reason: Reason, detail: str, package: Package
) -> None:
    package.offers("theirs", f"plugin_theirs:{attribute}", THEIRS)
    assert plugins(["theirs"]) == ({}, {"theirs": (reason, detail)})


def test_a_plugin_nobody_offers_is_off() -> None:
    assert plugins(["nowhere"]) == (
        {},
        {"nowhere": (Reason.CONFIG, "no installed package offers it under platform_exporter.collectors")},
    )


def test_a_plugin_two_packages_offer_is_off(package: Package) -> None:
    package.offers("hello", "plugin_hello", OURS)
    package.offers("hello", "plugin_other", OURS, package="other")
    assert plugins(["hello"])[1]["hello"][1].startswith("several installed packages")


def test_col14_a_plugin_with_the_name_of_a_built_in_collector_is_off(package: Package) -> None:
    package.offers("health", "plugin_health", "raise AssertionError('it must not even be imported')")
    catalogue = Catalogue.of(["health"])
    assert catalogue.failed == {"health": (Reason.CONFIG, "a built-in collector has this name")}
    assert catalogue.options["health"] is builtin()["health"].Options


@pytest.mark.parametrize("name", ["", "_hidden", "Upper", "a b", "model_dump", "copy", "a.b"])
def test_a_plugin_whose_name_cannot_stand_in_a_configuration_is_off(name: str) -> None:
    assert plugins([name])[1] == {name: (Reason.CONFIG, "a collector cannot have this name")}


def test_a_plugin_named_twice_is_loaded_once(package: Package) -> None:
    package.offers("theirs", "plugin_theirs:Theirs", THEIRS)
    plugins(["theirs", "theirs"])
    assert sys.modules["plugin_theirs"].Theirs.made == 2


def test_col14_what_a_plugin_writes_to_stdout_lands_on_stderr(
    package: Package, capfd: pytest.CaptureFixture[str]
) -> None:
    package.offers(
        "loud",
        "plugin_loud",
        "import os, subprocess, sys\n"
        "print('from python')\n"
        "sys.__stdout__.write('from the original stdout\\n')\n"
        "os.write(1, b'from the descriptor\\n')\n"
        "subprocess.run(['echo', 'from a child'])\n" + dedent(OURS),
    )
    assert sys.__stdout__ is not None
    sys.__stdout__.write("ours before\n")
    loaded, _ = plugins(["loud"])
    sys.__stdout__.write("ours after\n")
    sys.__stdout__.flush()
    out, err = capfd.readouterr()
    assert out == "ours before\nours after\n"
    assert {"from python", "from the original stdout", "from the descriptor", "from a child"} <= set(err.splitlines())
    assert list(loaded) == ["loud"]


def test_col14_a_plugin_that_starts_threads_at_import_is_loaded(package: Package) -> None:
    package.offers(
        "threads",
        "plugin_threads",
        "import threading\nlet_go = threading.Event()\n"
        "threading.Thread(target=let_go.wait, daemon=True).start()\n" + dedent(OURS),
    )
    before = threading.active_count()
    assert list(plugins(["threads"])[0]) == ["threads"]
    assert threading.active_count() == before + 1
    sys.modules["plugin_threads"].let_go.set()


def test_loading_works_without_a_stdout(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.offers("hello", "plugin_hello", OURS)

    def closed(descriptor: int) -> int:
        raise OSError("closed")

    monkeypatch.setattr(sys, "__stdout__", None)
    monkeypatch.setattr(os, "dup", closed)
    assert list(plugins(["hello"])[0]) == ["hello"]


def test_a_disabled_collector_is_not_built(parts: Parts) -> None:
    def explode(options: CollectorOptions, parts: Parts) -> Collector:
        raise AssertionError

    off = CollectorOptions(enabled=False)
    built = build(Catalogue({"a": module(explode), "b": builds(None)}), parts, a=off)
    assert (dict(built.collectors), built.disabled, built.failed, built.problems) == ({}, ("a", "b"), {}, ())


def test_collectors_get_their_own_options_and_stay_in_order(parts: Parts) -> None:
    class Options(CollectorOptions):
        text: str = "default"

    seen: dict[str, str] = {}

    def remember(name: str) -> Module:
        def build(options: Options, parts: Parts) -> Collector:
            seen[name] = options.text
            return Plain(name)

        return module(build, Options)

    catalogue = Catalogue({"health": remember("health"), "a": remember("a")}, {"z": remember("z"), "b": remember("b")})
    built = build(catalogue, parts, a=Options(text="changed"))
    assert list(built.collectors) == ["health", "a", "z", "b"]
    assert seen == {"health": "default", "a": "changed", "z": "default", "b": "default"}


class Raises:
    """A module whose build raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.Options = CollectorOptions

    def build(self, options: CollectorOptions, parts: Parts) -> Collector | Derived | None:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("a secret"), SystemExit(3), Failure(Reason.TLS, "theirs")])
def test_a_plugin_that_cannot_be_built_is_off_and_the_others_are_not(error: BaseException, parts: Parts) -> None:
    built = build(Catalogue({}, {"bad": Raises(error), "good": builds(Plain("good"))}), parts)
    assert list(built.collectors) == ["good"]
    assert built.failed == {"bad": (Reason.INTERNAL, type(error).__name__)}
    assert built.problems == ()


@pytest.mark.parametrize(
    "collector",
    [5, SimpleNamespace(name="bad"), Plain("another name"), Plain("bad", "not a family")],  # type: ignore[arg-type]
)
def test_a_plugin_that_builds_something_else_is_off(collector: Any, parts: Parts) -> None:
    built = build(Catalogue({}, {"bad": builds(collector)}), parts)
    assert (dict(built.collectors), built.failed) == ({}, {"bad": (Reason.INTERNAL, "TypeError")})


def test_a_built_in_collector_that_refuses_its_options_is_a_problem_of_the_configuration(parts: Parts) -> None:
    built = build(Catalogue({"health": Raises(Failure(Reason.CONFIG, "tls.ca_file cannot be read"))}), parts)
    assert [str(problem) for problem in built.problems] == ["collectors.health: tls.ca_file cannot be read"]


def test_plugins_that_could_not_be_loaded_are_listed_with_those_not_built(parts: Parts) -> None:
    failed = {"gone": (Reason.CONFIG, "no installed package offers it")}
    assert build(Catalogue({}, {}, failed), parts).failed == failed


def test_col14_what_a_plugin_writes_while_it_is_built_lands_on_stderr(
    parts: Parts, capfd: pytest.CaptureFixture[str]
) -> None:
    def loud(options: CollectorOptions, parts: Parts) -> Collector:
        print("loud")
        return Plain("loud")

    build(Catalogue({}, {"loud": module(loud)}), parts)
    assert capfd.readouterr() == ("", "loud\n")


def told(*collectors: Plain, daemon: tuple[Family, ...] = ()) -> list[str]:
    return [str(problem) for problem in clashes({collector.name: collector for collector in collectors}, daemon)]


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Family("no-name", "H."), "collectors.a: metric name 'no-name' is not legal"),
        (Family("x", "H.", labels=("no-name",)), "collectors.a: x: label name 'no-name' is not legal"),
        (Family("x", "H.", labels=("__x",)), "collectors.a: x: label name '__x' is reserved"),
        (Family("x", "H.", Kind.HISTOGRAM, ("le",)), "collectors.a: x: label name 'le' is reserved"),
        (Family("x", " "), "collectors.a: x: help text is missing"),
    ],
)
def test_cfg13_an_illegal_declaration_is_a_problem(family: Family, message: str) -> None:
    assert told(Plain("a", family)) == [message]


def test_cfg13_one_name_with_two_types_is_a_problem_that_names_both_places() -> None:
    assert told(Plain("a", Family("x", "H.")), Plain("b", Family("x", "H.", Kind.UNKNOWN))) == [
        "collectors.b: unknown x{} clashes with gauge x{} of collectors.a"
    ]


def test_cfg13_one_name_with_two_label_sets_is_a_problem_that_names_both_places() -> None:
    assert told(Plain("a", Family("x", "H.", labels=("l",))), Plain("b", Family("x", "H.", labels=("l", "m")))) == [
        "collectors.b: gauge x{l, m} clashes with gauge x{l} of collectors.a"
    ]


@pytest.mark.parametrize(
    "other",
    [Family("x_sum", "H."), Family("x_bucket", "H."), Family("x_count", "H."), Family("x", "H.", Kind.SUMMARY)],
    ids=lambda family: family.name,
)
def test_cfg13_a_name_a_histogram_needs_is_a_problem(other: Family) -> None:
    histogram = Family("x", "H.", Kind.HISTOGRAM, bounds=(1.0,))
    assert len(told(Plain("a", histogram), Plain("b", other))) == 1
    assert len(told(Plain("a", other), Plain("b", histogram))) == 1


def test_cfg13_a_gauge_named_as_a_counter_without_its_suffix_is_a_problem() -> None:
    assert len(told(Plain("a", Family("x_total", "H.", Kind.COUNTER)), Plain("b", Family("x", "H.")))) == 1


def test_cfg13_a_clash_within_one_collector_is_a_problem() -> None:
    assert told(Plain("a", Family("x", "H."), Family("x", "Other help."))) == [
        "collectors.a: gauge x{} clashes with gauge x{} of collectors.a"
    ]


def test_cfg13_a_clash_with_what_the_daemon_says_of_itself_is_a_problem() -> None:
    up = Family("platform_exporter_collector_up", "H.", labels=("collector",))
    assert told(Plain("a", Family("platform_exporter_collector_up", "H.")), daemon=(up,)) == [
        "collectors.a: gauge platform_exporter_collector_up{} clashes with "
        "gauge platform_exporter_collector_up{collector} of the daemon itself"
    ]


def test_two_collectors_may_share_an_equal_declaration() -> None:
    assert told(Plain("a", Family("x", "H.")), Plain("b", Family("x", "H."))) == []


def test_cfg13_clashes_are_reported_by_build(parts: Parts) -> None:
    family = Family("x", "H.")
    clashing = Catalogue({"a": builds(Plain("a", family))}, {"b": builds(Plain("b", Family("x_total", "H.")))})
    assert [problem.path for problem in build(clashing, parts, daemon=(Family("x", "Other."),)).problems] == [
        "collectors.a",
        "collectors.b",
    ]


def test_a_bridged_collector_with_unknown_families_clashes_with_nothing(parts: Parts) -> None:
    library = CollectorRegistry()
    Gauge("x", "X.", registry=library)
    built = build(Catalogue({"a": builds(Plain("a", Family("x", "H.")))}, {"b": Bridged("b", library)}), parts)
    assert built.problems == ()
    assert list(built.collectors) == ["a", "b"]
