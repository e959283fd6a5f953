"""TensorBoard's event files, read back by the library's own format."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from jepa_core.errors import PluginError
from jepa_core.facts import ObserverFacts
from jepa_plugins.observers.tensorboard import TensorboardConfig

VERDICT = {"outcome": "success", "reason": "All musts held.", "exit_code": 0}


def recorded(folder: Path) -> list[Any]:
    """Every value of the event files: records are a length, its sum, a protocol buffer, and its sum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    values = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = event_pb2.Event.FromString(content[12 : 12 + length])
            values += [(event.step, value) for value in event.summary.value]
            content = content[16 + length :]
    return values


def test_rows_events_and_the_verdict_are_in_the_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'jepa-core[tensorboard]'")
    observer = TensorboardConfig().build(ObserverFacts(run_path=tmp_path))
    observer.start(tmp_path, {"name": "tiny"})
    observer.row({"step": 3, "epoch": 0.5, "val.retrieval.mrr": 0.25, "loss.total": float("nan")})
    observer.row({"step": 6, "epoch": 1.0, "val.retrieval.mrr": 0.5})
    observer.event({"name": "checkpoint", "severity": "info", "message": "Checkpoint at step 6.", "step": 6})
    observer.event({"name": "write failed", "severity": "critical", "message": "disk full", "step": None})
    observer.end(VERDICT)
    values = recorded(tmp_path / "tensorboard")
    scalars = {(step, value.tag): value.simple_value for step, value in values if not value.HasField("tensor")}
    assert scalars[3, "val/retrieval.mrr"] == 0.25
    assert scalars[6, "val/retrieval.mrr"] == 0.5
    assert {step for step, tag in scalars if tag == "loss/total"} == {3}
    texts = [value.tensor.string_val[0].decode() for _, value in values if value.HasField("tensor")]
    assert "**info** checkpoint: Checkpoint at step 6." in texts
    assert "**success** All musts held." in texts


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(PluginError, match=r"pip install 'jepa-core\[tensorboard\]'"):
        TensorboardConfig().build(ObserverFacts(run_path=tmp_path))
