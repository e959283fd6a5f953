"""Training as it is shown: the first lines, the screen, then the verdict or how to go on; and after a rollback
the same with the run that goes on in its place."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import typed_name

LONGEST_NOTE = 2000
"""Characters of a note that are shown."""

if TYPE_CHECKING:
    from rich.console import Console

    from jepa_core.engine.session import Conclusion, Opening
    from jepa_core.presentation.training_screen import TrainingScreen
    from jepa_core.recipes.reading import LoadedRecipe
    from jepa_core.registry import Registry


def train_and_show(
    console: Console,
    loaded: LoadedRecipe,
    *,
    device: str,
    runs_dir: Path,
    resume: Path | None,
    registry: Registry,
    audit_command: str = "",
    auto_rollback: bool = False,
    plugin_files: Sequence[Path] = (),
    owns_process: bool = True,
) -> Conclusion:
    """Train until there is a verdict or an interruption, over rollbacks; how the last run ended.

    `audit_command` is how the whole audit is typed; without it there is no brief one either.

    Raises:
        JepaError: see `train_recipe`.
    """
    from jepa_core.audit.opening_audit import opening_audit
    from jepa_core.engine.session import train_recipe
    from jepa_core.recipes.reading import load_recipe

    while True:
        conclusion = train_recipe(
            loaded,
            device=device,
            runs_dir=runs_dir,
            resume=resume,
            open_screen=lambda opening: _open_screen(console, opening, audit_command),
            audit=opening_audit if audit_command else None,
            auto_rollback=auto_rollback,
            registry=registry,
            owns_process=owns_process,
        )
        if conclusion.child is None:
            _show(console, conclusion, plugin_files)
            return conclusion
        resume = conclusion.child
        loaded = load_recipe(resume / RECIPE, registry=registry)


def plugin_flags(plugin_files: Sequence[Path]) -> list[str]:
    """Local plugins as they have to be given again."""
    return [f"--plugin {shlex.quote(str(file))}" for file in plugin_files]


def audit_command(recipe: str, overrides: Sequence[str], plugin_files: Sequence[Path]) -> str:
    """The whole audit of the same recipe, as it would be typed."""
    flags = [*(f"--set {shlex.quote(text)}" for text in overrides), *plugin_flags(plugin_files)]
    return " ".join(["jepa audit", shlex.quote(recipe), *flags])


def _open_screen(console: Console, opening: Opening, audit_command: str) -> TrainingScreen:
    """Print the run's first lines, and open the screen."""
    from rich.text import Text

    from jepa_core.presentation.audit_table import AUDIT_INDENT, audit_lines
    from jepa_core.presentation.null_lines import NULLS_INDENT, null_lines
    from jepa_core.presentation.quantity import count_text
    from jepa_core.presentation.training_screen import TrainingScreen
    from jepa_core.presentation.wrapping import part_lines
    from jepa_core.visible_text import clean

    screen = TrainingScreen(
        console,
        opening.console_log,
        epochs=opening.loaded.recipe.train.epochs,
        total_steps=opening.total_steps,
        steps_done=opening.resumed_at or 0,
        null=opening.nulls.strongest.name if opening.nulls.strongest else "",
    )
    compiled = ", compiled" if opening.loaded.recipe.train.compile else ""
    parts = [
        opening.dataset.description,
        f"{count_text(opening.num_parameters)} parameters",
        f"{opening.compute.describe()}{compiled}",
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
    return screen


def _show(console: Console, conclusion: Conclusion, plugin_files: Sequence[Path]) -> None:
    """Print the verdict, or how to go on."""
    from rich.text import Text

    from jepa_core.presentation.training_screen import plain_log
    from jepa_core.presentation.verdict_table import verdict_table
    from jepa_core.presentation.wrapping import Hanging
    from jepa_core.run_directory.layout import CONSOLE

    if conclusion.verdict is None:
        flags = "".join(f" {flag}" for flag in plugin_flags(plugin_files))
        console.print(
            f"Interrupted after step {conclusion.ending.step}; a checkpoint is written.\n"
            f"Go on with: jepa run --resume {typed_name(conclusion.path)}{flags}",
            soft_wrap=True,
        )
        return
    if conclusion.ending.kind == "early stop":
        reason = f"  · {conclusion.ending.reason} (after step {conclusion.ending.step})"
        console.print(Hanging(Text(reason, style="dim"), indent=4))
    console.print()
    console.print(verdict_table(conclusion.verdict), crop=False)
    with (conclusion.path / CONSOLE).open("a", encoding="utf-8") as log:
        log.write("\n")
        plain_log(log).print(verdict_table(conclusion.verdict), crop=False)
