"""`jepa run`: train from a recipe, and end with a verdict."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from jepa_core.commands.options import NoPlugins, Overrides, PluginFiles, chosen_plugins
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import RUNS_DIR, find_run, typed_name

if TYPE_CHECKING:
    from rich.console import Console

    from jepa_core.engine.session import Conclusion, Opening
    from jepa_core.presentation.training_screen import TrainingScreen
    from jepa_core.watch.verdict import Verdict


def run(
    recipe: Annotated[str, Parameter(show_default=False)] = "",
    /,
    *,
    overrides: Overrides = (),
    resume: Annotated[str, Parameter(show_default=False)] = "",
    runs_dir: Path = RUNS_DIR,
    device: str = "auto",
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> int:
    """Train from a recipe, and end with a verdict.

    For example: jepa run recipes/optimized.toml --set train.epochs=10

    Exit codes: 0 finished and every must held, 1 the program failed, 2 usage or recipe error, 3 stopped by an
    abort rule or a non-finite value, 4 finished but a must failed, 130 or 143 interrupted (checkpoint written).

    Parameters
    ----------
    recipe
        A file, or the name of one in recipes/. Not given with --resume.
    overrides
        KEY=VALUE, such as train.epochs=3; may be repeated.
    resume
        Continue this run, a directory or the start of its name, from its newest checkpoint and with its own recipe.
    runs_dir
        The folder in which the run directory is made.
    device
        auto, cpu, cuda or cuda:N.
    """
    path = _run_to_resume(recipe, overrides, resume, runs_dir)
    finished = _verdict_of_finished(path) if path else None
    if path and finished:
        print(
            f"{path.name} is finished: there is nothing left to train. Its verdict: jepa verdict {typed_name(path)}\n"
            "To train longer, start a new run with more epochs: jepa run RECIPE --set train.epochs=N"
        )
        return finished.exit_code

    registry = chosen_plugins(plugin, no_plugin)

    from jepa_core.engine.session import train_recipe
    from jepa_core.plugins.recorded_files import check_same_files
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipe.finding import find_recipe
    from jepa_core.recipe.reading import load_recipe, with_scenarios

    if path:
        check_same_files(path, registry.files)
    console = console_for()
    source = path / RECIPE if path else find_recipe(recipe)
    loaded = load_recipe(source, overrides=overrides, registry=registry)
    conclusion = train_recipe(
        loaded if path else with_scenarios(loaded, registry),
        device=device,
        runs_dir=runs_dir,
        resume=path,
        open_screen=lambda opening: _open_screen(console, opening),
    )
    _show(console, conclusion, plugin)
    return conclusion.exit_code


def _run_to_resume(recipe: str, overrides: tuple[str, ...], resume: str, runs_dir: Path) -> Path | None:
    """The directory of `--resume`.

    Raises:
        RecipeError: the arguments do not say what to run.
    """
    if not resume:
        if not recipe:
            raise RecipeError("Which recipe? For example: jepa run recipes/quickstart.toml")
        return None
    if recipe or overrides:
        raise RecipeError(
            f"--resume {resume} continues a run with its own recipe, so no recipe and no --set can be given with it.\n"
            "To change something, start a new run."
        )
    return find_run(resume, runs_dir)


def _verdict_of_finished(run: Path) -> Verdict | None:
    """Its verdict, when it is finished and has one; a damaged one is made again."""
    from jepa_core.run_directory.reading import RunReader

    reader = RunReader(run)
    try:
        return reader.verdict() if reader.state() == "finished" else None
    except RunDirectoryError:
        return None


def _open_screen(console: Console, opening: Opening) -> TrainingScreen:
    """Print the run's first lines, and open the screen."""
    from rich.text import Text

    from jepa_core.presentation.quantity import count_text
    from jepa_core.presentation.training_screen import TrainingScreen

    screen = TrainingScreen(
        console,
        opening.console_log,
        epochs=opening.loaded.recipe.train.epochs,
        total_steps=opening.total_steps,
        steps_done=opening.resumed_at or 0,
    )
    compiled = ", compiled" if opening.loaded.recipe.train.compile else ""
    parts = [
        opening.dataset.description,
        f"{count_text(opening.num_parameters)} parameters",
        f"{opening.compute.describe()}{compiled}",
        str(opening.path),
    ]
    screen.print(Text().append(opening.loaded.recipe.name, style="bold").append(" · " + " · ".join(parts)))
    for note in filter(None, opening.notes):
        screen.print(Text(f"  · {note}", style="dim"))
    if opening.resumed_at is not None:
        screen.print(Text(f"  · goes on after step {opening.resumed_at} of {opening.total_steps}", style="dim"))
    return screen


def _show(console: Console, conclusion: Conclusion, plugin_files: Sequence[Path]) -> None:
    """Print the verdict, or how to go on."""
    from rich.text import Text

    from jepa_core.presentation.training_screen import plain_log
    from jepa_core.presentation.verdict_table import verdict_table
    from jepa_core.run_directory.layout import CONSOLE

    if conclusion.verdict is None:
        flags = "".join(f" --plugin {shlex.quote(str(file))}" for file in plugin_files)
        console.print(
            f"Interrupted after step {conclusion.ending.step}; a checkpoint is written.\n"
            f"Go on with: jepa run --resume {typed_name(conclusion.path)}{flags}",
            soft_wrap=True,
        )
        return
    if conclusion.ending.kind == "early stop":
        console.print(Text(f"  · {conclusion.ending.reason} (after step {conclusion.ending.step})", style="dim"))
    console.print()
    console.print(verdict_table(conclusion.verdict), crop=False)
    with (conclusion.path / CONSOLE).open("a", encoding="utf-8") as log:
        log.write("\n")
        plain_log(log).print(verdict_table(conclusion.verdict), crop=False)
