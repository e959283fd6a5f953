"""`jepa runs`: the runs in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir, Tags
from jepa_core.json_text import print_json
from jepa_core.presentation.runs_table import RunsTable
from jepa_core.presentation.terminal import UNBOUNDED, console_for
from jepa_core.run_directory.folded import ablations_in, folded
from jepa_core.run_directory.naming import RUNS_DIR, runs_in
from jepa_core.run_directory.summary import Order, RunSummary, in_order, summarise, words_of
from jepa_core.visible_text import clean


def runs(
    *words: Annotated[str, Parameter(name="WORD", show_default=False)],
    tag: Tags = (),
    sort: Order = "date",
    all_runs: Annotated[Flag, Parameter(name="--all")] = False,
    runs_dir: RunsDir = RUNS_DIR,
    json: Flag = False,
) -> None:
    """List runs, newest first: date, recipe, state, progress, best retrieval beside the strongest null, verdict.

    For example: jepa runs optimized finished --sort best

    An ablation stands in one line for its runs. Narrow screens show less: a pipe gets every column.

    Parameters
    ----------
    words
        Only runs with all these words in their name, recipe, state, verdict or tags.
    tag
        Only runs that were started with this tag; may be repeated, for runs with all of them.
    sort
        By what: date, newest first; name, recipe, state or verdict; epoch, best figure, or its gain over the strongest
        null, highest first.
    all_runs
        Each run of an ablation in a line of its own.
    json
        Print a JSON array instead of a table.
    """
    there = _summaries(runs_dir, all_runs=all_runs)
    shown = [run for run in there if set(tag) <= set(run.tags) and all(_has(run, word) for word in words)]
    shown = in_order(shown, sort)
    if json:
        print_json([attrs.asdict(run) for run in shown])
    elif shown:
        console = console_for(plain_width=UNBOUNDED)
        console.print(RunsTable(shown), crop=False)
    elif there:
        asked = " ".join([*words, *(f"--tag {name}" for name in tag)])
        console_for().print(f"None of the {len(there)} runs in {runs_dir}/ fits {clean(asked)}.")
    else:
        console_for().print(f"There are no runs in {runs_dir}/ yet. A first one: jepa run quickstart")


def _summaries(runs_dir: Path, *, all_runs: bool) -> Sequence[RunSummary]:
    summaries = [summarise(path) for path in reversed(runs_in(runs_dir))]
    for ablation in ablations_in(runs_dir):
        of_ablation = [summarise(path) for path in reversed(runs_in(ablation))]
        if all_runs:
            summaries += [attrs.evolve(run, name=f"{ablation.name}/{run.name}") for run in of_ablation]
        else:
            summaries.append(folded(ablation, of_ablation))
    return summaries


def _has(run: RunSummary, word: str) -> bool:
    return any(word.casefold() in text.casefold() for text in words_of(run))
