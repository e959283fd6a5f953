"""`jepa ablate`: a recipe under every combination of varied values and several seeds, and what each value does."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from jepa_core.ablation.as_json import ablation_to_json
from jepa_core.ablation.devices import Place, devices_to_check, gpu_numbers, places_for
from jepa_core.ablation.effects import AblationResult, ablation_result
from jepa_core.ablation.folder import AblationFolder
from jepa_core.ablation.plan import AblationPlan, plan_of
from jepa_core.ablation.recipe_check import CheckedGrid, GridRequest, check_grid
from jepa_core.ablation.scheduling import StopRequest, jobs_of, run_jobs
from jepa_core.ablation.variation import parse_variations
from jepa_core.commands.flag import Flag
from jepa_core.commands.options import NoPlugins, Overrides, PluginFiles
from jepa_core.comparison.recorded_run import read_run
from jepa_core.errors import RecipeError
from jepa_core.json_text import print_json
from jepa_core.metrics import Metric
from jepa_core.presentation.ablation_plot import draw_ablation
from jepa_core.presentation.ablation_screen import AblationScreen, dry_run_lines, planned_line
from jepa_core.presentation.ablation_table import ablation_table
from jepa_core.presentation.comparison_plot import check_plot_path
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.naming import RUNS_DIR
from jepa_core.run_directory.reading import RunReader

MOST_SEEDS = 32
"""As many pairs as the exact test takes."""


def ablate(
    recipe: Annotated[str, Parameter(show_default=False)] = "",
    /,
    *,
    vary: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    overrides: Overrides = (),
    seeds: int = 3,
    metric: Annotated[str, Parameter(show_default=False)] = "",
    gpus: Annotated[str, Parameter(show_default=False)] = "",
    device: str = "auto",
    jobs: int = 1,
    runs_dir: Path = RUNS_DIR,
    retry_failed: Flag = False,
    dry_run: Flag = False,
    show: Path | None = None,
    plot: Path | None = None,
    json: Flag = False,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> int:
    """Train a recipe under every combination of varied values and several seeds, and see what each value does.

    For example: jepa ablate quickstart --vary aggregator.kind=mean,analogy --vary augmentation.enlarge.share=0,0.3
    --seeds 6

    The first value of each --vary is the reference. Every cell is trained under the same seeds, the recipe's own and
    those after it, each run as a process and a run directory of its own, in runs/ablate-NAME-FINGERPRINT/. At the end
    one table tells the difference that each value makes, paired by seed, with its 95 % interval and an exact test of
    whether it is real. Six seeds are the fewest that can show an effect at 5 %. What counts is a run's last figure.

    The same command again goes on where it was stopped: finished runs are kept, interrupted ones resumed; with a
    higher --seeds only the new seeds are trained. Runs that fail or are aborted are results too, and are left as they
    are unless --retry-failed is given.

    Exit codes: 0 every run was finished, or aborted by its rules; 1 a run failed; 2 usage or recipe error, nothing was
    run; 129, 130 or 143 interrupted (the runs' checkpoints are written).

    Parameters
    ----------
    recipe
        A file, or the name of a recipe (see jepa recipe list). Not given with --show.
    vary
        KEY=VALUE,VALUE: a key of the recipe and its values, the first is the reference; may be repeated.
    overrides
        KEY=VALUE for every cell, such as train.epochs=3; may be repeated.
    seeds
        How many seeds each cell is trained under.
    metric
        Judge by this metric; the first of the recipe's watch.judge unless given.
    gpus
        Train on these GPUs, one run at a time on each, such as 0,1.
    device
        auto, cpu, cuda or cuda:N, where --gpus is not given.
    jobs
        Runs at a time on each GPU, or on the device.
    runs_dir
        The folder in which the ablation's folder is made.
    retry_failed
        Train runs again that failed or were aborted.
    dry_run
        Check everything, say what would be run, and stop.
    show
        Print the table of this ablation's folder, without training.
    plot
        Draw curves and effects into this .svg or .png file.
    json
        Print the result as a JSON object; progress goes to the standard error.

    Raises
    ------
    JepaError
        A recipe, a flag, a plugin, a device or the folder is at fault.
    """
    if plot is not None:
        check_plot_path(plot)
    if show is not None:
        if recipe or vary:
            raise RecipeError("--show FOLDER prints a recorded ablation: no recipe and no --vary can be given with it.")
        folder = AblationFolder.recorded(show)
        _print(_result(folder, _shown_metric(folder, metric)), plot=plot, json=json)
        return 0
    _refuse(recipe, vary, seeds)
    places = _places(gpus, device, jobs)
    request = GridRequest(
        recipe=recipe,
        overrides=overrides,
        variations=parse_variations(vary, overrides),
        metric=metric,
        devices=devices_to_check(gpu_numbers(gpus) if gpus else (), device),
        plugin_files=plugin,
        blocked_plugins=no_plugin,
    )
    checked = check_grid(request)
    folder = AblationFolder.of(runs_dir, plan_of(request, checked, seeds))
    console = console_for(sys.stderr if json else None)
    if dry_run:
        _print_dry_run(console, folder, places, retry_failed=retry_failed)
        return 0
    stopped = _train(console, folder, checked, places, retry_failed=retry_failed)
    if stopped:
        command = _command(folder.plan, runs_dir=runs_dir, gpus=gpus, device=device, jobs=jobs, plot=plot)
        console.print(f"\nStopped. Go on with: {command}", soft_wrap=True)
        return stopped
    console.print()
    _print(_result(folder, checked.metric), plot=plot, json=json)
    return int(any(run.state not in ("finished", "aborted") for run in folder.runs()))


def _refuse(recipe: str, vary: Sequence[str], seeds: int) -> None:
    """
    Raises:
        RecipeError: the arguments do not say what to run.
    """
    if not recipe or not vary:
        raise RecipeError(
            "Which recipe, and what of it? For example:\n"
            "  jepa ablate quickstart --vary aggregator.kind=mean,analogy --seeds 6"
        )
    if not 1 <= seeds <= MOST_SEEDS:
        raise RecipeError(f"--seeds {seeds}: expected 1 to {MOST_SEEDS}; to show an effect at 5 % takes 6.")


def _places(gpus: str, device: str, jobs: int) -> tuple[Place, ...]:
    """
    Raises:
        RecipeError: the flags do not say where to run.
    """
    if jobs < 1:
        raise RecipeError(f"--jobs {jobs}: expected a whole number ≥ 1.")
    if gpus and device != "auto":
        raise RecipeError(f"--gpus {gpus} and --device {device} both say where runs go: give one of them.")
    return places_for(gpu_numbers(gpus) if gpus else (), device, jobs)


def _print_dry_run(console: Console, folder: AblationFolder, places: Sequence[Place], *, retry_failed: bool) -> None:
    runs = folder.runs()
    jobs = jobs_of(runs, retry_failed=retry_failed)
    for line in (planned_line(folder, runs, jobs, len(places)), *dry_run_lines(folder, runs, jobs)):
        console.print(line, soft_wrap=True)


def _train(
    console: Console, folder: AblationFolder, checked: CheckedGrid, places: Sequence[Place], *, retry_failed: bool
) -> int:
    """Run what is left; the exit code when that was stopped, else 0."""
    with folder.lock(), StopRequest() as stop:
        folder.record(dict(zip(folder.plan.cells, checked.recipes, strict=True)))
        runs = folder.runs()
        jobs = jobs_of(runs, retry_failed=retry_failed)
        console.print(planned_line(folder, runs, jobs, len(places)), soft_wrap=True)
        with AblationScreen(console, folder, checked.metric, num_places=len(places)) as screen:
            run_jobs(folder, jobs, places, screen, stop)
        return stop.exit_code


def _result(folder: AblationFolder, metric: Metric) -> AblationResult:
    runs = [(found, read_run(RunReader(found.path)) if found.path else None) for found in folder.runs()]
    return ablation_result(folder.plan, str(folder.path), runs, metric)


def _shown_metric(folder: AblationFolder, name: str) -> Metric:
    """The metric asked for, as the runs declare it.

    Raises:
        RecipeError: no run recorded it.
    """
    if not name:
        return folder.plan.metric
    recorded = [read_run(RunReader(found.path)) for found in folder.runs() if found.path]
    if not any(name in run.series for run in recorded):
        raise RecipeError(f"--metric {name[:100]}: no run of this ablation recorded it.")
    declared = (run.declared.get(name) for run in recorded)
    return next((metric for metric in declared if metric is not None), Metric(name, ""))


def _print(result: AblationResult, *, plot: Path | None, json: bool) -> None:
    if plot is not None:
        draw_ablation(result, plot)
    if json:
        print_json(ablation_to_json(result))
        return
    console_for().print(ablation_table(result), crop=False)
    if plot is not None:
        console_for().print(f"\nCurves and effects: {plot}")


def _command(plan: AblationPlan, *, runs_dir: Path, gpus: str, device: str, jobs: int, plot: Path | None) -> str:
    """The command that goes on with the ablation."""
    words = ["jepa", "ablate", plan.recipe]
    for variation in plan.variations:
        words += variation.flag.split(" ", 1)
    words += [word for override in plan.overrides for word in ("--set", override)]
    words += ["--seeds", str(len(plan.seeds))]
    words += ["--gpus", gpus] if gpus else ["--device", device] if device != "auto" else []
    words += ["--jobs", str(jobs)] if jobs > 1 else []
    words += ["--runs-dir", str(runs_dir)] if runs_dir != RUNS_DIR else []
    words += ["--plot", str(plot)] if plot is not None else []
    words += [word for path, _ in plan.plugin_files for word in ("--plugin", path)]
    words += [word for name in plan.blocked_plugins for word in ("--no-plugin", name)]
    return shlex.join(words)
