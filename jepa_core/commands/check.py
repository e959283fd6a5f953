"""`jepa check`: recorded rows put before the rules again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.text import Text

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import NoPlugins, PluginFiles, RunsDir
from jepa_core.errors import RecipeError
from jepa_core.json_text import print_json
from jepa_core.presentation.replay_table import replay_table
from jepa_core.presentation.terminal import console_for
from jepa_core.presentation.wrapping import Hanging
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.layout import METRICS
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run
from jepa_core.run_directory.reading import RecordedRows, RunReader
from jepa_core.run_directory.recorded_recipe import (
    recorded_baseline,
    recorded_epochs,
    recorded_metrics,
    recorded_watch,
)
from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import replay, replay_to_json

if TYPE_CHECKING:
    from jepa_core.metrics import Metric
    from jepa_core.watch.rules import Baseline, Watch


@attrs.frozen(kw_only=True)
class _Rules:
    """What rows are judged by."""

    watch: Watch
    metrics: tuple[Metric, ...]
    baseline: Baseline | None
    problems: tuple[str, ...] = ()


def check(
    run: str = LATEST,
    /,
    *,
    rules: str = "",
    runs_dir: RunsDir = RUNS_DIR,
    json: Flag = False,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> int:
    """Replay recorded rows through the rules: what fires, where every rule stands, or that there is not enough data.

    For example: jepa check latest

    Exit codes: 0 nothing critical fired and no must failed, though one may be pending where the run has not come to its
    end; 3 an abort rule or a critical scenario fired, 4 a must failed.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, latest, or a file of metrics rows; the newest run
        when not given.
    rules
        Judge by this recipe's rules; needed for a file. A run is judged by its own when not given.
    json
        Print JSON instead of text.

    Raises
    ------
    RunDirectoryError
        There is no such run or file.
    RecipeError
        The rules cannot be read, or none are given for a file.
    """
    file = Path(run) if "\0" not in run and Path(run).is_file() else None
    if file is not None and not rules:
        raise RecipeError(f"{file} says nothing of rules. Give a recipe with some: jepa check {file} --rules RECIPE")
    reader = RunReader(find_run(run, runs_dir)) if file is None else None
    chosen = _rules_of_recipe(rules, plugin, no_plugin) if rules else _recorded_rules(reader)
    fingerprint = str(reader.environment().get("data_fingerprint", "")) if reader else ""
    own, folder = (reader.path.name, reader.path.parent) if reader else ("", runs_dir)
    baseline = resolve_baseline(chosen.baseline, folder, fingerprint, own=own)
    path = file or Path(reader.path if reader else "") / METRICS
    rows = RecordedRows(path, follow_links=file is not None)
    is_over = reader is None or reader.state() == "finished"
    epochs = recorded_epochs(reader.recipe()) if reader else _last_epoch(rows)
    judge = Judge(chosen.watch, chosen.metrics, baseline.values, epochs)
    found = replay(rows, judge, finished=is_over)
    if json:
        counts = {"checked": str(path), "rows": rows.num_rows, "damaged": rows.damaged}
        told = {**counts, "problems": chosen.problems, **replay_to_json(found)}
        print_json(told)
        return found.exit_code
    console = console_for()
    console.print(replay_table(reader.name if reader else str(file), rows.num_rows, found), crop=False)
    if rows.damaged:
        console.print(f"! {rows.damaged} damaged {'line' if rows.damaged == 1 else 'lines'} passed over")
    for problem in chosen.problems:
        console.print(Hanging(Text(f"! {problem}"), indent=2), crop=False)
    return found.exit_code


def _last_epoch(rows: Iterable[Mapping[str, float]]) -> float | None:
    """Of rows without a recipe: they are taken for a whole run."""
    last = None
    for row in rows:
        epoch = row.get("epoch", math.nan)
        last = epoch if math.isfinite(epoch) else last
    return last


def _recorded_rules(reader: RunReader | None) -> _Rules:
    assert reader is not None
    recipe = reader.recipe()
    recorded = recorded_watch(recipe)
    return _Rules(
        watch=recorded.watch,
        metrics=recorded_metrics(recipe),
        baseline=recorded_baseline(recorded.watch),
        problems=recorded.problems,
    )


def _rules_of_recipe(text: str, plugin: tuple[Path, ...], no_plugin: tuple[str, ...]) -> _Rules:
    """With the installed scenarios, as a run of the recipe would have them; this needs its components."""
    from jepa_core.recipes.declared_metrics import declared_metrics
    from jepa_core.recipes.reading import load_recipe, with_scenarios
    from jepa_core.recipes.recipe_path import find_recipe
    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)
    recipe = with_scenarios(load_recipe(find_recipe(text), registry=registry), registry).recipe
    return _Rules(watch=recipe.watch, metrics=declared_metrics(recipe), baseline=recipe.watch.baseline)
