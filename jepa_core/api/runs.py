"""Runs from Python: `jepa.train` makes one, `jepa.open_run` finds one; figures, verdict and events as recorded.

Reading a run loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, beside, find_run, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.watch.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

    from jepa_core.api.models import Model
    from jepa_core.api.recipes import Recipe, Source
    from jepa_core.engine.checkpoint_evaluation import Evaluation
    from jepa_core.recipes.reading import LoadedRecipe
    from jepa_core.registry import Registry

Series = NDArray[np.float64]


@attrs.frozen(eq=False, repr=False)
class Metrics(Mapping[str, Series]):
    """The rows of a run by column, each (rows,) float64: NaN where a row does not report it."""

    columns: Mapping[str, Series]

    def __getitem__(self, name: str) -> Series:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values()), ()))
        return f"<Metrics: {rows} rows of {len(self)} figures>"

    def series(self, name: str) -> tuple[Series, Series]:
        """Steps and values where the metric is reported, (n,) each.

        Raises:
            KeyError: no row reports it.
        """
        is_there = ~np.isnan(self.columns[name])
        return self.columns["step"][is_there], self.columns[name][is_there]

    def frame(self) -> pd.DataFrame:
        """The same as a pandas frame, a row for each that was recorded.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


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
        return _by_column(list(self._reader.rows()))

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, oldest first."""
        return tuple(self._reader.events())

    @property
    def recipe(self) -> dict[str, Any]:
        """Every value of its recipe, as nested dictionaries."""
        return self._reader.recipe()

    def load(self, *, step: int | str = "", device: str = "auto", plugins: Sequence[str | Path] = ()) -> Model:
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


def open_run(run: RunLike = LATEST, *, runs_dir: str | Path = RUNS_DIR) -> Run:
    """A run by its directory or the start of its name below `runs_dir`; the newest when not given.

    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    return Run(directory_of(run, runs_dir))


def runs(runs_dir: str | Path = RUNS_DIR) -> list[Run]:
    """All runs directly below a folder, oldest first; none where there is no such folder."""
    return [Run(path) for path in runs_in(Path(runs_dir))]


def verdict(run: RunLike = LATEST, *, runs_dir: str | Path = RUNS_DIR) -> Verdict:
    """A run's verdict: outcome, reason, every must and nice with its figures, retrieval beside the strongest null.

    Raises:
        RunDirectoryError: there is no such run, it has no verdict yet, or that is damaged.
    """
    found = open_run(run, runs_dir=runs_dir)
    reached = found.verdict
    if reached is None:
        raise RunDirectoryError(f"{found.name} is {found.state} and has no verdict yet: it is reached at a run's end.")
    return reached


def train(
    recipe: Recipe | Source,
    *,
    device: str = "auto",
    runs_dir: str | Path = RUNS_DIR,
    show: bool = False,
    audit: bool = True,
    auto_rollback: bool = False,
) -> Run:
    """Train, as `jepa run` does: the same run directory, figures and verdict, to the last bit.

    It returns when training has ended, and what it ended as is in the run: `run.state`, `run.exit_code`, `run.verdict`.
    Ctrl-C saves a checkpoint and ends it; `resume` goes on. On another thread than the main one signals are not heard.

    Args:
        recipe: what `jepa.recipe` gives, or what it takes.
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

    ready = recipe if isinstance(recipe, Recipe) else read(recipe)
    loaded = with_scenarios(ready.loaded, ready.registry)
    plugin_files = [file.path for file in loaded.plugin_files]
    command = audit_command(str(loaded.path), loaded.overrides, plugin_files) if audit else ""
    return _trained(
        loaded,
        ready.registry,
        runs_dir=Path(runs_dir),
        device=device,
        show=show,
        audit_command=command,
        auto_rollback=auto_rollback,
    )


def resume(
    run: RunLike = LATEST,
    *,
    device: str = "auto",
    runs_dir: str | Path = RUNS_DIR,
    show: bool = False,
    auto_rollback: bool = False,
    plugins: Sequence[str | Path] = (),
) -> Run:
    """Go on with a run that was interrupted or has crashed, from its newest checkpoint and with its own recipe.

    Raises:
        JepaError: the run is finished or was rolled back, or has no checkpoint that can be used.
    """
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.registry import chosen_plugins
    from jepa_core.run_directory.recorded_files import check_same_files

    path = directory_of(run, runs_dir)
    if RunReader(path).state() == "finished":
        raise RunDirectoryError(f"{path.name} is finished: there is nothing left to train.")
    registry = chosen_plugins([Path(file) for file in plugins], ())
    check_same_files(path, registry.files)
    loaded = load_recipe(path / RECIPE, registry=registry)
    return _trained(
        loaded, registry, runs_dir=beside(path), resumed=path, device=device, show=show, auto_rollback=auto_rollback
    )


def evaluate(
    run: RunLike = LATEST,
    *,
    set: Mapping[str, Any] | None = None,  # noqa: A002  # as on the command line
    step: int | str = "",
    device: str = "auto",
    runs_dir: str | Path = RUNS_DIR,
    plugins: Sequence[str | Path] = (),
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
    from jepa_core.api.process import undisturbed
    from jepa_core.api.recipes import flags_of
    from jepa_core.engine.checkpoint_evaluation import evaluate_run
    from jepa_core.registry import chosen_plugins

    path = directory_of(run, runs_dir)
    registry = chosen_plugins([Path(file) for file in plugins], ())
    with undisturbed():
        return evaluate_run(path, overrides=flags_of(set or {}), step=str(step), device=device, registry=registry)


def directory_of(run: RunLike, runs_dir: str | Path) -> Path:
    """
    Raises:
        RunDirectoryError: no run is meant, or more than one.
    """
    return run.path if isinstance(run, Run) else find_run(str(run), Path(runs_dir))


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

    from jepa_core.api.process import undisturbed
    from jepa_core.engine.interruption import StoppedBeforeTraining
    from jepa_core.presentation.shown_training import train_and_show
    from jepa_core.presentation.terminal import console_for

    with undisturbed():
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


def _by_column(rows: Sequence[Mapping[str, float]]) -> Metrics:
    names = dict.fromkeys(name for row in rows for name in row)
    return Metrics({name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names})
