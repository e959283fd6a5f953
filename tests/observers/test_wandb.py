"""Weights & Biases in the real library's offline mode: nothing leaves the machine."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from jepa_core.errors import PluginError
from jepa_core.facts import ObserverFacts
from jepa_plugins.observers.wandb import WandbConfig

VERDICT = {"outcome": "success", "reason": "All musts held.", "exit_code": 0}


@pytest.mark.filterwarnings("default")  # the library's own
def test_a_run_is_recorded_offline_without_an_api_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'jepa-core[wandb]'")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    observer = WandbConfig().build(ObserverFacts(run_path=tmp_path))
    observer.start(tmp_path, {"name": "tiny", "train": {"epochs": 3}})
    observer.row({"step": 3, "epoch": 0.5, "loss.total": 0.25})
    observer.row({"step": 6, "epoch": 1.0, "loss.total": float("nan")})
    observer.event({"name": "codes dead", "severity": "warning", "message": "Half of them.", "step": 6})
    observer.end(VERDICT)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (recording,) = run.glob("*.wandb")
    content = recording.read_bytes()
    assert b"loss.total" in content
    assert b"epochs" in content
    assert b"success" in content


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(PluginError, match=r"pip install 'jepa-core\[wandb\]'"):
        WandbConfig().build(ObserverFacts(run_path=tmp_path))


def test_finding_the_observer_does_not_import_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "jepa_plugins.plugin", raising=False)
    assert importlib.import_module("jepa_plugins.plugin").jepa_observers()
