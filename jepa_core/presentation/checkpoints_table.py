"""A run's checkpoints: what is there and can be trusted, and what each is good for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.figures import figure_text
from jepa_core.presentation.quantity import bytes_text
from jepa_core.presentation.wrapping import Command, Hanging
from jepa_core.run_directory.clock import local_time
from jepa_core.run_directory.kept_checkpoints import KeptCheckpoint
from jepa_core.visible_text import clean

_YEARS_FROM = 70
"""Columns from which the year has room."""


@attrs.frozen(kw_only=True)
class RunCheckpoints:
    """What is shown beside the checkpoints themselves."""

    run: str
    """Its name."""
    typed: str
    """The same as it is typed, with what has to be typed behind it to resume it."""
    checkpoints: tuple[KeptCheckpoint, ...]
    first_sign: float | None
    """The first step at which something that fired can be seen."""
    fired: str
    """What fired, in words."""
    best: str
    """Why the best is the best; empty where the verdict names none."""
    child: str
    """The run that goes on in its place; empty where none does."""
    settled: str = ""
    """Why nobody goes on with it, such as "is finished"; empty where one may."""
    notes: tuple[str, ...] = ()


def checkpoints_table(shown: RunCheckpoints, width: int) -> RenderableType:
    """One line a checkpoint, oldest first, and what they are good for."""
    total = sum(checkpoint.bytes for checkpoint in shown.checkpoints)
    heading = Text(clean(shown.run), style="bold")
    if not shown.checkpoints:
        return heading.append(": there is no checkpoint yet.", style="not bold")
    count = f"{len(shown.checkpoints)} checkpoint{'' if len(shown.checkpoints) == 1 else 's'}"
    heading.append(f" · {count}, {bytes_text(total)}", style="not bold")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("step", "epoch", "saved", "size"):
        table.add_column(name, justify="left" if name == "saved" else "right", no_wrap=True)
    table.add_column("")
    pattern = "%Y-%m-%d %H:%M" if width >= _YEARS_FROM else "%m-%d %H:%M"
    for checkpoint in shown.checkpoints:
        table.add_row(
            Text("✔", style="green") if checkpoint.fault is None else Text("✘", style="red"),
            Text(f"{checkpoint.step:,}"),
            Text("" if checkpoint.epoch is None else figure_text(checkpoint.epoch)),
            Text("" if checkpoint.saved is None else local_time(checkpoint.saved, pattern), style="dim"),
            Text(bytes_text(checkpoint.bytes)),
            Text(" · ".join(_marks(checkpoint))),
        )
    lines = (Hanging(line, 2, overflow="ignore") if isinstance(line, Text) else line for line in _lines(shown))
    return Group(heading, table, *lines)


def _marks(checkpoint: KeptCheckpoint) -> Iterator[str]:
    if checkpoint.fault is not None:
        yield "damaged"
    if checkpoint.resumes:
        yield "resume"
    if checkpoint.best:
        yield "best"
    if checkpoint.best_so_far:
        yield "best so far"
    if checkpoint.healthy:
        yield "healthy"


def _lines(shown: RunCheckpoints) -> Iterator[Text | Command]:
    yield Text()
    for checkpoint in shown.checkpoints:
        if checkpoint.fault is not None:
            yield Text(f"✘ step-{checkpoint.step}: {clean(checkpoint.fault, 300)}", style="red")
    resumes = [checkpoint for checkpoint in shown.checkpoints if checkpoint.resumes]
    if shown.child:
        yield Text(f"resume: no, {clean(shown.child)} goes on in its place", style="dim")
    elif shown.settled:
        yield Text(f"resume: no, it {clean(shown.settled)}", style="dim")
    elif resumes:
        command = f"jepa run --resume {clean(shown.typed, 2000)}"
        yield Command("resume: ", command, f"goes on from step {resumes[0].step:,}")
    else:
        yield Text("resume: no checkpoint verifies, so nothing can go on from here", style="red")
    if shown.best:
        yield Text(f"best: {clean(shown.best)}", style="dim")
    if shown.first_sign is not None:
        yield Text(f"healthy: before step {shown.first_sign:,.0f}, the first sign of {clean(shown.fired)}", style="dim")
    for note in shown.notes:
        yield Text(f"! {clean(note, 300)}", style="yellow")


def remedy(shown: RunCheckpoints) -> str:
    """What to do about those that do not verify; empty where all do."""
    bad = [checkpoint for checkpoint in shown.checkpoints if checkpoint.fault is not None]
    if not bad:
        return ""
    count = f"{len(bad)} of {len(shown.checkpoints)} {'does' if len(bad) == 1 else 'do'} not verify."
    names = ", ".join(clean(checkpoint.path, 80) for checkpoint in bad[:5]) + (", …" if len(bad) > 5 else "")
    one = "it" if len(bad) == 1 else "them"
    if len(bad) == len(shown.checkpoints):
        return f"{count} Copy {one} anew from a backup, or start a new run."
    return f"{count} Nothing goes on from {one}: copy {one} anew from a backup, or delete {one} ({names})."


def pruned_line(gone: Sequence[KeptCheckpoint], *, dry_run: bool) -> str:
    """What was deleted, or would be."""
    if not gone:
        return "Nothing to delete."
    steps = ", ".join(f"{checkpoint.step:,}" for checkpoint in gone)
    size = bytes_text(sum(checkpoint.bytes for checkpoint in gone))
    count = f"{len(gone)} checkpoint{'' if len(gone) == 1 else 's'}"
    return f"{'Would delete' if dry_run else 'Deleted'} {count}, {size}: step{'' if len(gone) == 1 else 's'} {steps}."
