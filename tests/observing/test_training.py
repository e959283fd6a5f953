"""Observers of whole runs: told everything, and whatever they do, the training is the same to the bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jepa_core.cli import main
from jepa_core.registry import installed
from jepa_core.run_directory.reading import RunReader

PLUGIN = """
import json, random, time
from pathlib import Path
from typing import ClassVar
import attrs
from jepa_core.hookspecs import hookimpl

class Observer:
    def __init__(self, what): self.what, self.told = what, []
    def start(self, run_path, recipe_table):
        recipe_table.clear()
        self.path = run_path / "told.json"
    def row(self, row):
        self.told.append(["row", row["step"]])
        row.clear()
        random.seed(1)
        if self.what == "raise": raise ValueError("no \\x1b[31mrow")
    def event(self, event):
        self.told.append(["event", event["name"]])
        event["evidence"].clear()
    def checkpoint(self, path, step): self.told.append(["checkpoint", path.name])
    def end(self, verdict):
        self.told.append(["end", verdict and verdict["outcome"]])
        self.path.write_text(json.dumps(self.told))

@attrs.frozen(kw_only=True)
class Config:
    '''Keeps what it is told.'''
    kind: ClassVar[str] = "keeper"
    metrics: ClassVar[tuple[()]] = ()
    what: str = attrs.field(default="keep", kw_only=True)
    def build(self, facts):
        if self.what == "refuse": raise RuntimeError("not today")
        return Observer(self.what)

@hookimpl
def jepa_observers(): return [Config]
"""

Train = Callable[..., Path]


@pytest.fixture
def train(tiny_recipe_file: Path, tmp_path: Path) -> Iterator[Train]:
    """Trains the tiny recipe with flags, to this exit code, and returns the run directory."""
    plugin = tmp_path / "keeper.py"
    plugin.write_text(PLUGIN)

    def call(name: str, *flags: str, code: int = 0) -> Path:
        runs = tmp_path / name
        arguments = ["run", str(tiny_recipe_file), "--runs-dir", str(runs), "--device", "cpu", "--plugin", str(plugin)]
        with pytest.raises(SystemExit) as left:
            main([*arguments, *flags])
        assert left.value.code == code
        return next(runs.iterdir(), runs) if runs.exists() else runs

    yield call
    installed.cache_clear()


def state_of(run: Path) -> dict[str, str]:
    """SHA-256 of every file of the newest checkpoint, of rows without times, and of the recipe without observers."""
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.partition("-")[2]))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in newest.iterdir()}


def events_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_an_observer_is_told_of_rows_events_checkpoints_and_the_end(train: Train) -> None:
    run = train("kept", "--set", "observers.keeper.what=keep")
    told = json.loads((run / "told.json").read_text())
    assert [step for kind, step in told if kind == "row"] == [row["step"] for row in RunReader(run).rows()]
    assert [name for kind, name in told if kind == "event"] == [event["name"] for event in events_of(run)]
    assert [name for kind, name in told if kind == "checkpoint"] == ["step-6"]
    assert told[-1] == ["end", json.loads((run / "verdict.json").read_text())["outcome"]]


@pytest.mark.parametrize("what", ["keep", "raise"])
def test_training_is_bitwise_the_same_with_and_without_it(train: Train, what: str) -> None:
    without = train("without")
    watched = train("watched", "--set", f"observers.keeper.what={what}")
    assert state_of(without) == state_of(watched)
    rows = [[dict(row) for row in RunReader(run).rows()] for run in (without, watched)]
    timeless = [
        [{key: v for key, v in row.items() if not key.startswith(("time.", "throughput."))} for row in each]
        for each in rows
    ]
    assert timeless[0] == timeless[1]
    assert 'what = "' in (watched / "recipe.toml").read_text(), "the copy that it emptied was its own"


def test_one_that_raises_is_switched_off_with_an_event_that_names_it(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("raising", "--set", "observers.mine.kind=keeper", "--set", "observers.mine.what=raise")
    (off,) = [event for event in events_of(run) if event["name"] == "observer off"]
    assert off["severity"] == "warning"
    assert off["message"].startswith("Observer mine (")
    assert "keeper.py" in off["message"]
    assert "row raised ValueError: no" in off["message"]
    assert off["evidence"]["faults"] == 3
    assert not (run / "told.json").exists()
    printed = capsys.readouterr().out
    assert "is switched off" in printed
    assert "\x1b[31m" not in printed


def test_one_that_cannot_be_built_stops_the_run_before_data_loads(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--set", "observers.keeper.what=refuse", "--set", "data.kind=manifest", "--set", "data.path=missing.jsonl")
    runs = train("refused", *flags, code=1)
    error = capsys.readouterr().err
    assert error.startswith("Observer keeper (")
    assert "keeper.py) cannot be used: RuntimeError: not today." in error
    assert "Take [observers.keeper] out of the recipe" in error
    assert list(runs.iterdir()) == []
