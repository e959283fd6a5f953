"""What goes on before training is told, in order, by its own name; and on the screen until the first step is done."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from jepa_core.audit.opening_audit import opening_audit
from jepa_core.engine.opening import Conclusion
from jepa_core.engine.session import train_recipe
from jepa_core.presentation.pace import Pace
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from tests.engine.test_session import Watcher


def trained(recipe_file: Path, resume: Path | None, tell: Callable[[str], None]) -> Conclusion:
    registry = installed()
    return train_recipe(
        load_recipe(recipe_file, overrides=() if resume else ["train.epochs=1"], registry=registry),
        device="cpu",
        runs_dir=recipe_file.parent / "runs",
        resume=resume,
        open_screen=Watcher,
        audit=None if resume else opening_audit,
        tell_stage=tell,
        registry=registry,
    )


def test_each_stage_before_training_is_told(tiny_recipe_file: Path) -> None:
    told: list[str] = []
    run = trained(tiny_recipe_file, None, told.append).path
    assert told == ["reading data", "building the model", "ranking nulls", "auditing"]
    told.clear()
    trained(run / "recipe.toml", run, told.append)
    assert told == ["reading data", "building the model", "ranking nulls", "reading the checkpoint"]


def test_a_first_step_that_is_compiled_says_so() -> None:
    words = "compiling, first step"
    assert Pace(0, 9, lambda: 0.0, first_step=words).describe() == "compiling, first step, 0 s"
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    screen = TrainingScreen(console, io.StringIO(), epochs=1, total_steps=9, first_step=words, clock=lambda: 0.0)
    with console.capture() as shown:
        console.print(screen._progress)
    assert "compiling, first step, 0 s" in shown.get()
