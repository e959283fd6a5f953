"""Words and signs for findings, the same in every table: mark, when, the flags that mend it, how many there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from jepa_core.figures import figure_text
from jepa_core.rollback import plan
from jepa_core.watch.findings import Finding, Severity

SEVERITY_MARKS: dict[Severity, tuple[str, str]] = {
    "info": ("·", "dim"),
    "warning": ("▲", "yellow"),
    "critical": ("✘", "red"),
}
"""Sign and style of each severity."""


_SAFE = re.compile(r'[\w.,:=+/-]+("[\w.,:=+/-]*")?')
"""What a shell takes as it is, but for quotes around a whole value, which it takes away and nobody misses."""


def flags_of(changes: Mapping[str, Any]) -> str:
    """Recipe values as the flags that set them, as a shell takes them: `--set aggregator.kind="mean"`."""
    set_to = plan.flags_of(changes)
    return " ".join(f"--set {text if _SAFE.fullmatch(text) else shlex.quote(text)}" for text in set_to)


def moment_of(finding: Finding) -> str:
    """When it was found, such as "   step 640   epoch 13"; empty where that is not known."""
    step = "" if finding.step is None else f"   step {finding.step:.0f}"
    return step + ("" if finding.epoch is None else f"   epoch {figure_text(finding.epoch)}")


def counted(findings: Sequence[Finding]) -> Text:
    """Such as "1 critical · 2 warnings"; coloured where there are any."""
    criticals, warnings = (sum(f.severity == severity for f in findings) for severity in ("critical", "warning"))
    text = Text()
    if criticals:
        text.append(f"{criticals} critical", style="red").append(" · ")
    plural = "" if warnings == 1 else "s"
    return text.append(f"{warnings} warning{plural}", style="yellow" if warnings else "")
