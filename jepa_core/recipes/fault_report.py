"""How faults look: location, the line with a caret, what is allowed. Plain text and colour are the same report."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from jepa_core.recipes.faults import Excerpt, Fault
from jepa_core.visible_text import clean

MOST_FAULTS = 40
"""Faults that are shown one by one."""

GUTTER = 7
"""Columns left of the bar."""

LONGEST_EXCERPT = 96
"""Characters of a line that are shown."""

MESSAGE_BESIDE_CARET = 60
"""Carets that end further right have their message on lines of its own."""


def fault_report(title: str, faults: Sequence[Fault]) -> Text:
    """The whole report, ending in what to do."""
    report = Text(no_wrap=True, overflow="ignore")
    number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    report.append(f"{clean(title)} has {number}\n\n", style="bold")
    place_width = max((len(clean(f.where)) for f in faults if not f.from_flag), default=0)
    for fault in faults[:MOST_FAULTS]:
        _append_fault(report, fault, place_width)
    if len(faults) > MOST_FAULTS:
        report.append(f"  … and {len(faults) - MOST_FAULTS} more\n")
    component = next((f.component for f in faults if f.component), "")
    remedy = f"jepa plugins show {component}" if component else "jepa recipe schema"
    report.append("\nNothing was run.")
    # Of a file that is missing or no text, no field helps.
    if any(f.key or f.excerpt or f.from_flag for f in faults):
        report.append(f" Fields and ranges: {clean(remedy)}")
    return report


def _append_fault(report: Text, fault: Fault, place_width: int) -> None:
    where = clean(fault.where)
    head = where if fault.from_flag else f"{where:<{place_width}}  {clean(fault.key)}".rstrip()
    report.append(f"  {head}\n", style="cyan")
    lines = [clean(line) for line in (fault.message, *fault.notes)]
    carets, indent = "", ""
    if fault.excerpt is not None:
        shown, before, marked = _cropped(fault.excerpt)
        _append_line(report, str(fault.excerpt.line), shown)
        carets = " " * cell_len(before) + "^" * max(1, cell_len(marked))
        indent = " " * (len(carets) + 1)
        if len(carets) > MESSAGE_BESIDE_CARET:
            _append_line(report, "", carets, style="red")
            carets, indent = "", ""
    _append_line(report, "", f"{carets} {lines[0]}" if carets else lines[0], style="red")
    for line in lines[1:]:
        _append_line(report, "", indent + line, style="dim")


def _append_line(report: Text, number: str, content: str, style: str = "") -> None:
    report.append(f"{number:>{GUTTER}} │ ", style="dim")
    report.append(f"{content}\n", style=style)


def _cropped(excerpt: Excerpt) -> tuple[str, str, str]:
    """What is shown of the line, what of it stands before the fault, and the fault itself."""
    start = excerpt.column - 1
    first = 0 if start + excerpt.width <= LONGEST_EXCERPT else max(0, start - LONGEST_EXCERPT // 3)
    last = first + LONGEST_EXCERPT
    text = excerpt.text
    before = ("…" if first else "") + clean(text[first:start])
    marked = clean(text[start : min(start + excerpt.width, last)])
    after = clean(text[min(start + excerpt.width, last) : last]) + ("…" if last < len(text) else "")
    return before + marked + after, before, marked
