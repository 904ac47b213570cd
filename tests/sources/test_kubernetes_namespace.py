"""In which namespace the daemon is at home."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.sources.kubernetes.namespace import own_namespace

CONTEXTS = """\
current-context: two
contexts:
  - {name: one, context: {namespace: first}}
  - {name: two, context: {namespace: second}}
"""


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that is no pod, whose user has no kubeconfig."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "namespace"


def test_a_pod_is_at_home_where_it_runs(nowhere: Path) -> None:
    nowhere.write_text("alerts\n")
    assert own_namespace(None, nowhere) == "alerts"


def test_a_kubeconfig_beats_the_pod(nowhere: Path, tmp_path: Path) -> None:
    nowhere.write_text("alerts")
    (tmp_path / "c").write_text(CONTEXTS)
    assert own_namespace(tmp_path / "c", nowhere) == "second"


def test_outside_of_a_pod_the_usual_kubeconfig_counts(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_text(CONTEXTS)
    assert own_namespace(None, nowhere) == "second"
    (tmp_path / "c").write_text(CONTEXTS.replace("second", "third"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/c:{tmp_path}/more")
    assert own_namespace(None, nowhere) == "third"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "contexts: 7",
        "[]",
        "contexts: [7, {name: a}]\ncurrent-context: b",
        CONTEXTS.replace("second", "[]"),
        CONTEXTS.replace("{namespace: second}", "7"),
    ],
)
def test_what_tells_nothing_leaves_the_default(nowhere: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    assert own_namespace(tmp_path / "c", nowhere) == "default"
    assert own_namespace(None, nowhere) == "default"
