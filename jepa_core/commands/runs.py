"""`jepa runs`: the runs in a folder."""

from __future__ import annotations

import sys

import attrs
import orjson

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import RunsDir
from jepa_core.presentation.runs_table import runs_table
from jepa_core.presentation.terminal import console_for
from jepa_core.recorded_numbers import encode
from jepa_core.run_directory.naming import RUNS_DIR, runs_in
from jepa_core.run_directory.summary import summarise
from jepa_core.visible_text import escaped


def runs(*, runs_dir: RunsDir = RUNS_DIR, json: Flag = False) -> None:
    """List runs, newest first: state, progress, best retrieval beside the strongest null, verdict.

    For example: jepa runs --runs-dir experiments

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    summaries = [summarise(path) for path in reversed(runs_in(runs_dir))]
    if json:
        entries = [encode(attrs.asdict(summary)) for summary in summaries]
        sys.stdout.write(escaped(orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode()) + "\n")
    elif summaries:
        console = console_for()
        console.print(runs_table(summaries, console.width))
    else:
        console_for().print(f"There are no runs in {runs_dir}/ yet. A first one: jepa run quickstart")
