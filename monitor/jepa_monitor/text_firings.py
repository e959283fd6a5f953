"""What has fired, as plain text: when, the recorded figures that show it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from jepa_core.presentation.figures import figure_text
from jepa_core.presentation.finding_text import SEVERITY_MARKS, flags_of, moment_of
from jepa_core.recorded_numbers import decode_number
from jepa_core.run_directory.naming import typed_name
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Firing, by_severity
from jepa_monitor.model.run_view import RunView

_CLOCKS = ("step", "epoch")


def text_firings(view: RunView) -> Iterator[Text]:
    """The most severe first."""
    for firing in by_severity(view.firings):
        assert isinstance(firing, Firing)
        mark, style = SEVERITY_MARKS[firing.severity]
        line = Text(mark, style=style).append(f" {clean(f'{firing.kind} {firing.name}', 60)}", style="bold")
        yield line.append(moment_of(firing), style="dim").append(f"   {clean(firing.message)}")
        yield from _indented(_evidence(firing.evidence.get("rows")), "dim")
        yield from _indented([firing.advice], "dim")
        yield from _indented([remedy(firing, view)], "cyan")


def remedy(firing: Firing, view: RunView) -> str:
    """What to type about a firing; empty where nothing is known."""
    if firing.kind == "rollback" and view.state != "rolled_back":
        return f"jepa rollback {typed_name(Path(view.path))}"
    return flags_of(firing.set) or (f"--use {firing.use}" if firing.use else "")


def _indented(lines: Iterable[str], style: str) -> Iterator[Text]:
    for line in lines:
        if line:
            yield Text(f"    {clean(line)}", style=style)


def _evidence(rows: Any) -> Iterator[str]:
    """A line for each recorded row, such as "step 640   loss.relational 0.000"."""
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping):
            yield "   ".join(f"{name} {_figure(name, row[name])}" for name in row if row[name] is not None)


def _figure(name: str, value: Any) -> str:
    number = decode_number(value)
    if number is None:
        return str(value)
    return f"{number:g}" if name in _CLOCKS else figure_text(number)
