"""`jepa compare`: recorded runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.comparison.as_json import comparison_to_json
from jepa_core.comparison.comparing import compare_runs
from jepa_core.comparison.recorded_run import read_run
from jepa_core.json_text import print_json
from jepa_core.presentation.comparison_plot import check_plot_path, draw_comparison
from jepa_core.presentation.comparison_table import comparison_table
from jepa_core.presentation.terminal import console_for
from jepa_core.run_directory.naming import RUNS_DIR, find_run
from jepa_core.run_directory.reading import RunReader


def compare(
    *runs: str,
    metric: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    runs_dir: RunsDir = RUNS_DIR,
    plot: Path | None = None,
    rules: Flag = False,
    json: Flag = False,
) -> None:
    """Compare runs: recipes, where they part, figures at equal steps, and whether a gain is real.

    For example: jepa compare gentle_vq-20261123-101500 latest --plot curves.svg

    Runs that differ in nothing but `train.seed` are shown as one recipe with mean and 95 % interval, and recipes are
    tested against each other over the seeds that both have.

    Parameters
    ----------
    runs
        Run directories, or starts of runs' names; two or more.
    metric
        Judge by this metric, such as val.rank.context; may be repeated.
    plot
        Draw the curves of the judged metrics into this .svg or .png file.
    rules
        Show every rule, limit and baseline that differs, and not only how many do.
    json
        Print everything as a JSON object, with full curves of the judged metrics.

    Raises
    ------
    RecipeError
        Fewer than two runs, one run twice, or a metric that none of them recorded.
    RunDirectoryError
        There is no such run.
    JepaError
        The picture cannot be drawn.
    """
    if plot is not None:
        check_plot_path(plot)
    recorded = [read_run(RunReader(find_run(run, runs_dir))) for run in runs]
    comparison = compare_runs(recorded, metric)
    if plot is not None:
        draw_comparison(comparison, plot)
    if json:
        print_json(comparison_to_json(comparison))
    else:
        console_for().print(comparison_table(comparison, rules=rules), crop=False)
        if plot is not None:
            console_for().print(f"\nCurves: {plot}")
