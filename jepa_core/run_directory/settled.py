"""Runs that have come to their end, so that there is nothing to resume."""

from __future__ import annotations

from pathlib import Path

import attrs

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import typed_name
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_files import plugin_flags
from jepa_core.shell_words import typed_flag, typed_path
from jepa_core.visible_text import clean, visible

SCRIPTED = "scripted"
"""In environment.json of the runs of `jepa demo`: true."""

REAL = "jepa run quickstart"
"""What to type for a run of another kind than the demo's."""


@attrs.frozen(kw_only=True)
class Settled:
    """Why a run is not resumed."""

    why: str
    """Without its name, such as "is finished"."""
    remedy: str
    """What to type instead."""
    exit_code: int
    """The run's."""


def is_scripted(run: Path) -> bool:
    """Whether `jepa demo` wrote it: its figures are made up, and its checkpoints hold no model."""
    return RunReader(run).environment().get(SCRIPTED) is True


def settled(run: Path) -> Settled | None:
    """Of a run that is finished, or that its rules have ended and would end again; None where it can go on. A verdict
    that is damaged is made again."""
    reader, name = RunReader(run), typed_name(run)
    if is_scripted(run):
        return Settled(why="was written by jepa demo: there is no model", remedy=f"A real run: {REAL}", exit_code=1)
    try:
        verdict = reader.verdict()
    except RunDirectoryError:
        return None
    if verdict is None:
        return None
    if reader.state() == "finished":
        return Settled(
            why="is finished: there is nothing left to train",
            remedy=f"Its verdict: jepa verdict {name}\n"
            "To train longer, start a new run with more epochs: "
            f"jepa run {typed_path(run / RECIPE)} --set train.epochs=N{plugin_flags(run)}",
            exit_code=verdict.exit_code,
        )
    if reader.state() == "aborted" and verdict.ending == "abort":
        return Settled(
            why=f"was ended by an abort rule, which would end it again: {clean(verdict.cause)}",
            remedy=f"To go back to before that with a change: jepa rollback {name}{_of_abort(reader)} --set KEY=VALUE"
            f"{plugin_flags(run)}",
            exit_code=verdict.exit_code,
        )
    return None


def _of_abort(run: RunReader) -> str:
    """The flag that names the rule, without which the change of another rule that fired would be made, too."""
    names = [event.name.partition(" ")[2] for event in run.events() if event.name.startswith("abort ")]
    return f" {typed_flag('--scenario', visible(names[-1]))}" if names else ""
