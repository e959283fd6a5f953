"""What a run's observers are told, and what is said about them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from jepa_core.contracts import ComponentConfig
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.errors import PluginError
from jepa_core.facts import ObserverFacts
from jepa_core.metrics import Metric
from jepa_core.observing.dispatch import Observers
from jepa_core.recipes.tables import ObserverEntry
from jepa_core.run_directory.events import Event


class Keeper:
    """Keeps what it is told, and spoils it for whoever shares it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def start(self, run_path: Path, recipe_table: dict[str, Any]) -> None:
        self.told.append(("start", run_path, dict(recipe_table)))
        recipe_table["train"].clear()

    def row(self, row: dict[str, float]) -> None:
        self.told.append(("row", dict(row)))
        row.clear()

    def event(self, event: dict[str, Any]) -> None:
        self.told.append(("event", event["name"], dict(event["evidence"])))
        event["evidence"].clear()

    def checkpoint(self, path: Path, step: int) -> None:
        self.told.append(("checkpoint", path, step))

    def end(self, verdict: Any) -> None:
        self.told.append(("end", verdict))


class Hanging:
    """Is busy for a while."""

    def row(self, row: dict[str, float]) -> None:
        time.sleep(0.5)


@attrs.frozen(kw_only=True)
class ReadyConfig:
    """An observer that is there already."""

    kind: ClassVar[str] = "ready"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    observer: Any = None

    def build(self, facts: ObserverFacts) -> Any:
        if isinstance(self.observer, BaseException):
            raise self.observer
        return self.observer


def entries(**observers: Any) -> list[ObserverEntry]:
    configs: dict[str, ComponentConfig] = {name: ReadyConfig(observer=each) for name, each in observers.items()}
    return [ObserverEntry(name=name, config=config, origin="jepa-ready 1.0") for name, config in configs.items()]


def begun(path: Path, **observers: Any) -> Observers:
    started = Observers()
    started.build(entries(**observers), path, None)
    started.start({"train": {"epochs": 3}})
    return started


def test_each_has_copies_of_its_own_of_everything(tmp_path: Path) -> None:
    first, second = Keeper(), Keeper()
    observers = begun(tmp_path, first=first, second=second)
    row = {"step": 1.0, "loss.total": 0.5}
    event = Event(sequence=1, time=0.0, step=4, name="checkpoint", evidence={"bytes": 3})
    observers.row(row)
    observers.event(event)
    assert observers.finish({"outcome": "success"}) == []
    assert first.told == [
        ("start", tmp_path, {"train": {}}),
        ("row", {"step": 1.0, "loss.total": 0.5}),
        ("event", "checkpoint", {"bytes": 3}),
        ("checkpoint", tmp_path / "checkpoints" / "step-4", 4),
        ("end", {"outcome": "success"}),
    ]
    assert second.told == first.told
    assert row == {"step": 1.0, "loss.total": 0.5}
    assert event.evidence == {"bytes": 3}


def test_leaving_ends_them_without_a_verdict_and_only_once(tmp_path: Path) -> None:
    keeper = Keeper()
    with pytest.raises(ValueError, match="data"), begun(tmp_path, keeper=keeper):
        raise ValueError("data")
    assert keeper.told[-1] == ("end", None)
    other = Keeper()
    with begun(tmp_path, other=other) as observers:
        observers.finish({"outcome": "neutral"})
    assert [told for told in other.told if told[0] == "end"] == [("end", {"outcome": "neutral"})]


def test_one_that_is_late_is_left_behind_and_said(tmp_path: Path) -> None:
    observers = begun(tmp_path, slow=Hanging())
    observers.row({"step": 1.0})
    started = time.monotonic()
    (notice,) = observers.finish(None, seconds=0.05)
    assert time.monotonic() - started < 0.4
    assert notice.name == "observer behind"
    assert notice.message == "Observer slow (jepa-ready 1.0): did not keep up, it was not done when the run ended."


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("boom"), "RuntimeError: boom.\nTake [observers.mine] out of the recipe, or tell its author."),
        (SystemExit(0), "SystemExit: 0.\nTake [observers.mine] out of the recipe, or tell its author."),
        (PluginError("the package x is needed"), "the package x is needed"),
    ],
)
def test_one_that_cannot_be_built_is_an_error_that_names_it(tmp_path: Path, error: BaseException, text: str) -> None:
    with pytest.raises(PluginError) as raised:
        Observers().build(entries(mine=error), tmp_path, None)
    assert str(raised.value) == f"Observer mine (jepa-ready 1.0) cannot be used: {text}"


def test_a_stop_signal_while_one_is_built_is_no_fault_of_it(tmp_path: Path) -> None:
    with pytest.raises(StoppedBeforeTraining):
        Observers().build(entries(mine=StoppedBeforeTraining(143)), tmp_path, None)
