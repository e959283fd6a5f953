"""Runs from Python: `jepa.train` makes one, `jepa.open_run` finds one; figures, verdict and events as recorded.

Reading a run loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from jepa_core.api.arguments import PluginFiles, Step, device_text, folder_of, registry_with, step_text
from jepa_core.api.metrics import Metrics
from jepa_core.api.process import undisturbed
from jepa_core.api.wording import in_python_words
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.run_directory.columns import columns_of
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import VERDICT
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, beside, find_run, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.watch.verdict import Verdict

if TYPE_CHECKING:
    import torch

    from jepa_core.api.models import Model
    from jepa_core.api.recipes import Recipe, Source
    from jepa_core.engine.checkpoint_evaluation import Evaluation
    from jepa_core.recipes.reading import LoadedRecipe
    from jepa_core.registry import Registry


@attrs.frozen(repr=False)
class Run:
    """A run directory, read anew whenever it is asked: it may still be training elsewhere."""

    path: Path

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def state(self) -> str:
        """Such as finished, running, interrupted, aborted or crashed."""
        return self._reader.state()

    @property
    def exit_code(self) -> int | None:
        """The code that `jepa run` exits with; None while it trains."""
        status = self._reader.status()
        return None if status is None else status.exit_code

    @property
    def verdict(self) -> Verdict | None:
        """None as long as there is none.

        Raises:
            RunDirectoryError: it is damaged.
        """
        return self._reader.verdict()

    @property
    def metrics(self) -> Metrics:
        """Everything that was recorded so far."""
        return Metrics(columns_of(self._reader.rows()))

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, oldest first."""
        return tuple(self._reader.events())

    @property
    def recipe(self) -> dict[str, Any]:
        """Every value of its recipe, as nested dictionaries."""
        return self._reader.recipe()

    @undisturbed()
    def load(
        self, *, step: Step = None, device: str | torch.device | None = "auto", plugins: PluginFiles = ()
    ) -> Model:
        """See `jepa.load`."""
        from jepa_core.api.models import load

        return load(self, step=step, device=device, plugins=plugins)

    def __repr__(self) -> str:
        state = self.state
        try:
            verdict = self.verdict
        except RunDirectoryError:
            verdict = None
        return f"<Run {self.name}: {state}{f', {verdict.outcome}: {verdict.reason}' if verdict else ''}>"

    @property
    def _reader(self) -> RunReader:
        return RunReader(self.path)


RunLike = Run | str | Path


@in_python_words()
def open_run(run: RunLike = LATEST, *, runs_dir: str | Path | None = RUNS_DIR) -> Run:
    """A run by its directory or the start of its name below `runs_dir`; the newest when not given.

    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    return Run(directory_of(run, runs_dir))


def runs(runs_dir: str | Path | None = RUNS_DIR) -> list[Run]:
    """All runs directly below a folder, oldest first; none where there is no such folder."""
    return [Run(path) for path in runs_in(folder_of(runs_dir))]


def verdict(run: RunLike = LATEST, *, runs_dir: str | Path | None = RUNS_DIR) -> Verdict:
    """A run's verdict: outcome, reason, every must and nice with its figures, retrieval beside the strongest null.

    Raises:
        RunDirectoryError: there is no such run, it has no verdict yet, or that is damaged.
    """
    found = open_run(run, runs_dir=runs_dir)
    reached = found.verdict
    if reached is None:
        raise RunDirectoryError(f"{found.name} {_why_no_verdict(found)}")
    return reached


@in_python_words()
@undisturbed()
def train(
    recipe: Recipe | Source,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    device: str | torch.device | None = "auto",
    runs_dir: str | Path | None = RUNS_DIR,
    show: bool = False,
    audit: bool = True,
    auto_rollback: bool = False,
) -> Run:
    """Train, as `jepa run` does: the same run directory, figures and verdict, to the last bit.

    It returns when training has ended, and what it ended as is in the run: `run.state`, `run.exit_code`, `run.verdict`.
    Ctrl-C saves a checkpoint and ends it; `resume` goes on. On another thread than the main one signals are not heard.

    Args:
        recipe: what `jepa.recipe` gives, or what it takes.
        set: values to change, as `jepa.recipe` takes them, of a recipe that is not read yet.
        device: auto, cpu, cuda or cuda:N.
        runs_dir: the folder in which the run directory is made.
        show: print what `jepa run` prints; else only the run's console.log has it.
        audit: take a brief look at recipe and data first.
        auto_rollback: when a rollback rule fires, go on from the last healthy checkpoint with the rule's change.

    Raises:
        JepaError: the recipe, the device, the data or the folder is at fault; nothing of the run remains.
        KeyboardInterrupt: it was stopped before the first step.
    """
    from jepa_core.api.recipes import Recipe
    from jepa_core.api.recipes import recipe as read
    from jepa_core.presentation.shown_training import audit_command
    from jepa_core.recipes.reading import with_scenarios
    from jepa_core.run_directory.recorded_files import typed_flags

    if set and isinstance(recipe, Recipe):
        raise RecipeError("This recipe is read already: give set= to jepa.recipe, or train by the recipe's name.")
    ready = recipe if isinstance(recipe, Recipe) else read(recipe, set=set)
    loaded = with_scenarios(ready.loaded, ready.registry)
    plugins = typed_flags([file.path for file in loaded.plugin_files], loaded.kept_out)
    command = audit_command(str(loaded.path), loaded.overrides, plugins) if audit else ""
    return _trained(
        loaded,
        ready.registry,
        runs_dir=folder_of(runs_dir),
        device=device_text(device),
        show=show,
        audit_command=command,
        auto_rollback=auto_rollback,
    )


@in_python_words()
@undisturbed()
def resume(
    run: RunLike = LATEST,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    device: str | torch.device | None = "auto",
    runs_dir: str | Path | None = RUNS_DIR,
    show: bool = False,
    auto_rollback: bool = False,
    plugins: PluginFiles = (),
) -> Run:
    """Go on with a run that was interrupted or has crashed, from its newest checkpoint and with its own recipe.

    Args:
        run: a run, its directory, the start of its name, or "latest".
        set: `data.path` alone, where the data that the run began with lies elsewhere now.
        device: auto, cpu, cuda or cuda:N.
        runs_dir: the folder with the run directories.
        show: print what `jepa run` prints.
        auto_rollback: as of `train`.
        plugins: local Python files with plugins that the run was made with.

    Raises:
        JepaError: the run is finished, was ended by a rule or was rolled back, has no checkpoint that can be used, or
            began with other data.
    """
    from jepa_core.api.recipes import flags_of
    from jepa_core.engine.opened_run import recipe_of
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.run_directory.recorded_files import check_same_files
    from jepa_core.run_directory.settled import settled

    path, moved = directory_of(run, runs_dir), flags_of(set)
    others = [flag for flag in moved if not flag.startswith("data.path=")]
    if others:
        raise RecipeError(
            f"{path.name} goes on with its own recipe, so {others[0]} cannot be set, and nothing but data.path, where "
            "its data lies elsewhere now. To train with a change: jepa.train."
        )
    ended = settled(path)
    if ended is not None:
        raise RunDirectoryError(f"{path.name} {ended.why}. {ended.remedy}")
    recipe = recipe_of(RunReader(path))
    registry = registry_with(plugins)
    check_same_files(path, registry.files)
    return _trained(
        load_recipe(recipe, overrides=moved, registry=registry),
        registry,
        runs_dir=beside(path),
        resumed=path,
        device=device_text(device),
        show=show,
        auto_rollback=auto_rollback,
    )


@in_python_words()
@undisturbed()
def evaluate(
    run: RunLike = LATEST,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    step: Step = None,
    device: str | torch.device | None = "auto",
    runs_dir: str | Path | None = RUNS_DIR,
    plugins: PluginFiles = (),
) -> Evaluation:
    """Evaluate a checkpoint as `jepa eval` does: retrieval beside the nulls, and probes for what data has labels.

    Args:
        run: a run, its directory, the start of its name, or "latest".
        set: values of `data.*`, `train.precision` and `train.batch_size`, for other data.
        step: a step's number, "best" or "newest"; the best where the run kept one, else the newest, when not given.
        device: auto, cpu, cuda or cuda:N.
        runs_dir: the folder with the run directories.
        plugins: local Python files with plugins that the run was made with.

    Raises:
        JepaError: the run, a value, the checkpoint, the data or the device is at fault.
    """
    from jepa_core.api.recipes import flags_of
    from jepa_core.engine.checkpoint_evaluation import evaluate_run

    path = directory_of(run, runs_dir)
    return evaluate_run(
        path,
        overrides=flags_of(set),
        step=step_text(step),
        device=device_text(device),
        registry=registry_with(plugins),
    )


def directory_of(run: RunLike, runs_dir: str | Path | None) -> Path:
    """
    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    return run.path if isinstance(run, Run) else find_run(str(run), folder_of(runs_dir))


def _why_no_verdict(run: Run) -> str:
    """What follows the run's name."""
    state = run.state
    if state in ("finished", "aborted"):
        return f"is {state}, but its {VERDICT} is not there: it was deleted, or not copied along."
    if state == "failed":
        return "has failed and reached no verdict. Its last events say why: run.events."
    if state == "rolled_back":
        return "was rolled back and reaches no verdict: the run that goes on in its place does."
    if state == "unknown":
        return "has no verdict, and no status that says whether it has ended."
    return f"is {state} and has no verdict yet: it is reached at a run's end."


def _trained(
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    runs_dir: Path,
    device: str,
    show: bool,
    auto_rollback: bool,
    resumed: Path | None = None,
    audit_command: str = "",
) -> Run:
    from rich.console import Console

    from jepa_core.engine.interruption import StoppedBeforeTraining
    from jepa_core.presentation.shown_training import train_and_show
    from jepa_core.presentation.terminal import console_for

    try:
        conclusion = train_and_show(
            console_for() if show else Console(quiet=True),
            loaded,
            device=device,
            runs_dir=runs_dir,
            resume=resumed,
            registry=registry,
            audit_command=audit_command,
            auto_rollback=auto_rollback,
            owns_process=False,
        )
    except StoppedBeforeTraining as stop:
        raise KeyboardInterrupt from stop
    return Run(conclusion.path)
