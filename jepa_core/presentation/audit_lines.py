"""What the brief audit at a run's start found, in as few lines as it takes: what is in order in one, each fault in its
own with where to learn more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from jepa_core.visible_text import clean
from jepa_core.watch.findings import Finding

_FIRST, _FURTHER = "audit   ", "        "
_STYLES = {"critical": "red", "warning": "yellow"}


def audit_lines(findings: Sequence[Finding], command: str, width: int) -> Iterator[Text]:
    """The lines; with `command`, which tells all, at the right of the last of its faults where `width` allows."""
    sound = [clean(finding.message).rstrip(".") for finding in findings if finding.severity == "info"]
    faults = [finding for finding in findings if finding.severity != "info"]
    if sound:
        yield Text(_FIRST, style="dim").append("ok  ", style="green").append(" · ".join(sound), style="none")
    for number, finding in enumerate(faults):
        line = Text(_FURTHER if sound or number else _FIRST, style="dim")
        line.append("!   ", style=_STYLES[finding.severity]).append(clean(finding.message), style="none")
        if number == len(faults) - 1:
            room = width - line.cell_len - len(command)
            line.append(" " * max(room, 4) + command, style="cyan")
        yield line
