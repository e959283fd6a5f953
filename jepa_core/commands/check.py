"""`jepa check`: recorded rows put before the rules again."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import NoPlugins, PluginFiles, RunsDir
from jepa_core.errors import JepaError, RecipeError, RunDirectoryError
from jepa_core.json_text import print_json
from jepa_core.presentation.replay_table import replay_table
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.baseline_runs import resolve_baseline
from jepa_core.run_directory.layout import METRICS, RECIPE, STATUS
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, find_run, typed_name
from jepa_core.run_directory.reading import RecordedRows, RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.run_directory.recorded_recipe import (
    recorded_baseline,
    recorded_epochs,
    recorded_metrics,
    recorded_watch,
)
from jepa_core.shell_words import typed_path
from jepa_core.watch.judge import Judge
from jepa_core.watch.replay import replay, replay_to_json

if TYPE_CHECKING:
    from jepa_core.metrics import Metric
    from jepa_core.run_directory.status import ShownState
    from jepa_core.watch.rules import Baseline, Watch

_MAY_GO_ON = ("starting", "running", "stale")
"""States of a run that may still write its first row."""

_COPY = "Copy it from where the run was made"


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
    end; 3 an abort rule or a critical scenario fired, 4 a must failed or could not be judged. 1 nothing of that was
    found, but recipe, status or rows cannot be read, or not all of them.

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
        There is no such run or file, or none of its rules or rows can be read.
    RecipeError
        The rules cannot be read, or none are given for a file.
    """
    file = Path(run) if "\0" not in run and Path(run).is_file() else None
    if file is not None and not rules:
        raise RecipeError(f"{file} says nothing of rules. Give a recipe with some: jepa check {file} --rules RECIPE")
    reader = RunReader(find_run(run, runs_dir)) if file is None else None
    recipe = reader.recipe() if reader else {}
    chosen = _rules_of_recipe(rules, plugin, no_plugin) if rules else _recorded_rules(reader, recipe)
    fingerprint = str(reader.environment().get("data_fingerprint", "")) if reader else ""
    own, folder = (reader.path.name, reader.path.parent) if reader else ("", runs_dir)
    baseline = resolve_baseline(chosen.baseline, folder, fingerprint, own=own)
    path = file or Path(reader.path if reader else "") / METRICS
    rows = RecordedRows(path, follow_links=file is not None)
    state = reader.state() if reader else "finished"
    epochs = recorded_epochs(recipe) if recipe else _last_epoch(rows) if state == "finished" else None
    judge = Judge(chosen.watch, chosen.metrics, baseline.values, epochs)
    found = replay(rows, judge, finished=state == "finished")
    if not rows.num_rows and (rows.damaged or state not in _MAY_GO_ON):
        raise _no_rows(path, reader)
    unread = [*chosen.problems, *_unread_rows(path, rows, state)]
    if reader and state == "unknown":
        unread.append(_unread_status(reader.path, rules))
    code = found.exit_code or (JepaError.exit_code if unread else 0)
    if json:
        counts = {"checked": str(path), "rows": rows.num_rows, "damaged": rows.damaged}
        print_json({**counts, "problems": unread, **replay_to_json(found), "exit_code": code})
    else:
        title = reader.name if reader else str(file)
        console_for().print(replay_table(title, rows.num_rows, found, unread), crop=False)
    return code


def _no_rows(path: Path, reader: RunReader | None) -> RunDirectoryError:
    what = "holds no row that can be read" if os.path.lexists(path) else "is missing"
    remedy = (
        f"{_COPY}. What else the run recorded: jepa autopsy {typed_name(reader.path)}"
        if reader
        else f"Give a file of rows, such as {METRICS} of a run."
    )
    return RunDirectoryError(f"{path} {what}: there is nothing to judge.\n{remedy}")


def _unread_rows(path: Path, rows: RecordedRows, state: ShownState) -> Iterator[str]:
    """What of them was not judged; a line of a run that has not come to its end may be being written."""
    if rows.damaged:
        lines = "1 damaged line" if rows.damaged == 1 else f"{rows.damaged} damaged lines"
        yield f"{lines} of {path} passed over: what they held is not judged. {_COPY}."
    if rows.is_cut_off and state in ("finished", "unknown"):
        yield f"The last line of {path} is cut off, or lacks its line end, and is not judged. {_COPY}."


def _unread_status(run: Path, rules: str) -> str:
    by = typed_path(rules or run / RECIPE)
    return (
        f"{run / STATUS} is missing or damaged: nobody can say whether the run has come to its end, so what only the "
        f"end decides is pending. {_COPY}, or judge the rows as those of a whole run: "
        f"jepa check {typed_path(run / METRICS)} --rules {by}{plugin_flags(run)}"
    )


def _last_epoch(rows: Iterable[Mapping[str, float]]) -> float | None:
    """Of rows without a recipe: they are taken for a whole run."""
    last = None
    for row in rows:
        epoch = row.get("epoch", math.nan)
        last = epoch if math.isfinite(epoch) else last
    return last


def _recorded_rules(reader: RunReader | None, recipe: Mapping[str, Any]) -> _Rules:
    assert reader is not None
    path = reader.path / RECIPE
    remedy = f"{_COPY}, or give the rules: jepa check {typed_name(reader.path)} --rules RECIPE"
    if not recipe:
        raise RunDirectoryError(f"{path} is missing or damaged, so that there is no rule to judge by.\n{remedy}")
    recorded = recorded_watch(recipe)
    left_out = f"{path} cannot be read in whole, and what is named above of it is not judged. {remedy}"
    return _Rules(
        watch=recorded.watch,
        metrics=recorded_metrics(recipe),
        baseline=recorded_baseline(recorded.watch),
        problems=(*recorded.problems, left_out) if recorded.problems else (),
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
