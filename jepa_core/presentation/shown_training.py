"""Training as it is shown: the first lines, the screen, then the verdict or how to go on; and after a rollback
the same with the run that goes on in its place."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.errors import RunDirectoryError
from jepa_core.launching import leads
from jepa_core.presentation.lasting_output import lasting
from jepa_core.rollback.going_on import going_on, is_saved
from jepa_core.run_directory.layout import RECIPE

LONGEST_NOTE = 2000
"""Characters of a note that are shown."""

if TYPE_CHECKING:
    from rich.console import Console

    from jepa_core.engine.opening import Conclusion, Opening
    from jepa_core.presentation.at_work import AtWork
    from jepa_core.presentation.long_run import LongRun
    from jepa_core.presentation.training_screen import TrainingScreen
    from jepa_core.recipes.reading import LoadedRecipe
    from jepa_core.registry import Registry


Typed = Callable[[Mapping[str, Any]], str]
"""What is typed for the same run with changes to its recipe, by dotted key."""


def flags_alone(changes: Mapping[str, Any]) -> str:
    """Where it is not known how a run was started."""
    return " ".join(f"--set {key}={value}" for key, value in changes.items())


def train_and_show(
    console: Console,
    loaded: LoadedRecipe,
    *,
    device: str,
    runs_dir: Path,
    resume: Path | None,
    registry: Registry,
    audit_command: str = "",
    run_command: Typed = flags_alone,
    auto_rollback: bool = False,
    owns_process: bool = True,
) -> Conclusion:
    """Train until there is a verdict or an interruption, over rollbacks; how the last run ended.

    `audit_command` is how the whole audit is typed; without it there is no brief one either. `run_command` is for
    advice to those whose run will take long.

    Raises:
        JepaError: see `train_recipe`.
    """
    from jepa_core.audit.opening_audit import opening_audit
    from jepa_core.engine.session import train_recipe
    from jepa_core.recipes.reading import load_recipe

    while True:
        with lasting(console), _preparing(console) as work:
            conclusion = train_recipe(
                loaded,
                device=device,
                runs_dir=runs_dir,
                resume=resume,
                open_screen=partial(_open_screen, console, audit_command, None if resume else run_command, work),
                audit=opening_audit if audit_command else None,
                tell_stage=work.say if work else lambda _: None,
                auto_rollback=auto_rollback,
                registry=registry,
                owns_process=owns_process,
            )
        if conclusion.child is None:
            if conclusion.leads:
                with lasting(console):
                    _show(console, conclusion)
            return conclusion
        resume = conclusion.child
        loaded = load_recipe(resume / RECIPE, registry=registry)


@contextmanager
def _preparing(console: Console) -> Iterator[AtWork | None]:
    """Says what goes on until training begins; None where nothing is to be said."""
    if not leads() or console.quiet:
        yield None
        return
    from jepa_core.presentation.at_work import at_work

    with at_work(console, "preparing") as work:
        yield work


def audit_command(recipe: str, overrides: Sequence[str], flags: Sequence[str]) -> str:
    """The whole audit of the same recipe, as it would be typed; `flags` are those for plugins."""
    settings = [f"--set {shlex.quote(text)}" for text in overrides]
    return " ".join(["jepa audit", shlex.quote(recipe), *settings, *flags])


def run_command(recipe: str, overrides: Sequence[str], flags: Sequence[str], changes: Mapping[str, Any]) -> str:
    """A run of the same recipe with changes, as it would be typed; what was set otherwise is set no more."""
    kept = [text for text in overrides if text.partition("=")[0].strip() not in changes]
    settings = [*kept, *(f"{key}={value}" for key, value in changes.items())]
    return " ".join(["jepa run", shlex.quote(recipe), *(f"--set {shlex.quote(text)}" for text in settings), *flags])


def _told_when_long(opening: Opening, run_command: Typed | None) -> Callable[[float], LongRun | None]:
    """What is to be said of a run that has so many seconds to go; one that goes on keeps its recipe."""
    from jepa_core.presentation.long_run import long_run, time_left

    if run_command is None:
        return time_left
    recipe = opening.loaded.recipe
    return partial(
        long_run,
        epochs=recipe.train.epochs,
        num_batches=len(opening.dataset.train) // recipe.train.batch_size,
        num_sequences=getattr(recipe.data, "num_sequences", 0),
        command=run_command,
    )


def _told_before(opening: Opening, told_when_long: Callable[[float], LongRun | None]) -> LongRun | None:
    """The same before the first step, as far as steps on few sequences tell; they leave nothing behind."""
    from jepa_core.audit.opening_audit import undisturbed
    from jepa_core.audit.run_cost import run_seconds

    with undisturbed(opening.compute.device):
        try:
            seconds = run_seconds(opening.loaded.recipe, opening.dataset, opening.compute)
        except Exception:  # it only advises: whatever is wrong, the run itself says it better
            return None
    return None if seconds is None else told_when_long(seconds)


def _open_screen(
    console: Console, audit_command: str, run_command: Typed | None, work: AtWork | None, opening: Opening
) -> TrainingScreen:
    """Print the run's first lines, and open the screen. Without `run_command` the run is one that goes on."""
    from rich.text import Text

    from jepa_core.presentation.audit_table import AUDIT_INDENT, audit_lines
    from jepa_core.presentation.null_lines import NULLS_INDENT, null_lines
    from jepa_core.presentation.quantity import count_text
    from jepa_core.presentation.training_screen import TrainingScreen
    from jepa_core.presentation.wrapping import part_lines
    from jepa_core.visible_text import clean

    told_when_long = _told_when_long(opening, run_command)
    if work is not None:
        work.say("timing a step")
    told = _told_before(opening, told_when_long) if audit_command and run_command else None
    if work is not None:
        work.stop()
    is_compiled = opening.loaded.recipe.train.compile is True
    screen = TrainingScreen(
        console,
        opening.console_log,
        epochs=opening.loaded.recipe.train.epochs,
        total_steps=opening.total_steps,
        steps_done=opening.resumed_at or 0,
        end_epoch=opening.end_epoch,
        long_run=told_when_long if told is None else lambda _: None,
        null=opening.nulls.strongest.name if opening.nulls.strongest else "",
        # On a GPU kernels are compiled or loaded at first.
        is_first_usual=opening.compute.device.type == "cpu" and not is_compiled,
        first_step="compiling, first step" if is_compiled else "first step",
    )
    compiled = ", to be compiled" if is_compiled else ""
    parts = [
        opening.dataset.description,
        f"{count_text(opening.num_parameters)} parameters",
        f"{opening.compute.describe(opening.num_ranks)}{compiled}",
        str(opening.path),
    ]
    title = [Text(opening.loaded.recipe.name, style="bold"), *map(Text, parts)]
    for line in part_lines(title, console.width, label=Text(), indent=2, separator=" · "):
        screen.print(line, indent=2)
    for note in filter(None, opening.notes):
        screen.print(Text(f"  · {clean(note, LONGEST_NOTE)}", style="dim"), indent=4)
    for line in audit_lines(opening.audit, clean(audit_command), console.width):
        screen.print(line, indent=AUDIT_INDENT)
    for line in null_lines(opening.nulls, console.width):
        screen.print(line, indent=NULLS_INDENT)
    if opening.resumed_at is not None:
        screen.print(Text(f"  · goes on after step {opening.resumed_at} of {opening.total_steps}", style="dim"))
    if told is not None:
        screen.event("warning", told.message, told.advice)
    return screen


def _show(console: Console, conclusion: Conclusion) -> None:
    """Print the verdict, or how to go on."""
    from rich.text import Text

    from jepa_core.presentation.training_screen import plain_log
    from jepa_core.presentation.verdict_table import verdict_table
    from jepa_core.presentation.wrapping import Hanging
    from jepa_core.run_directory.console_log import open_console

    if conclusion.verdict is None:
        saved = "; a checkpoint is written" if is_saved(conclusion.path, conclusion.ending.step) else ""
        told = f"Interrupted after step {conclusion.ending.step}{saved}.\n{going_on(conclusion.path)}"
        console.print(Text(told), soft_wrap=True)
        return
    if conclusion.ending.kind == "early stop":
        reason = f"  · {conclusion.ending.reason} (after step {conclusion.ending.step})"
        console.print(Hanging(Text(reason, style="dim"), indent=4))
    console.print()
    console.print(verdict_table(conclusion.verdict), crop=False)
    # Shown it is, and written down in verdict.json.
    with suppress(RunDirectoryError), open_console(conclusion.path) as log:
        log.write("\n")
        plain_log(log).print(verdict_table(conclusion.verdict), crop=False)
