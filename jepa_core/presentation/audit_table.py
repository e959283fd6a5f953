"""An audit as a table of effects, figures of data and steps, and findings with the exact recipe change.

The brief one at a run's start takes as few lines as it can.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.audit.report import Audit, EffectRow, StepFigures
from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.finding_text import flags_of
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.quantity import duration_text
from jepa_core.presentation.wrapping import Hanging, part_lines
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Finding

_STYLE = {"critical": "red", "warning": "yellow", "info": "dim"}
_LABEL_WIDTH = 28
_FIRST, _FURTHER = "audit   ", "        "
"""How the lines of the brief audit begin."""
_BEFORE_COMMAND = 4
"""Blanks at least between a fault and the command beside it."""
AUDIT_INDENT = 12
"""Where its words begin."""
LARGE = 0.5
"""Relative changes above this are just large: their figure says no more."""


def audit_table(audit: Audit) -> RenderableType:
    """The whole audit; plain text where the console has no colour."""
    return Group(
        _headline(audit), Text(), _effects(audit), Text(), _facts(audit), Text(), findings_list(audit.findings)
    )


def findings_list(findings: Sequence[Finding]) -> RenderableType:
    """How many there are, and each with advice and the flags that follow it."""
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _STYLE}
    plural = "" if counts["warning"] == 1 else "s"
    summary = Text("  ").append(f"{counts['critical']} critical", style="red" if counts["critical"] else "")
    summary.append(" · ").append(f"{counts['warning']} warning{plural}", style="yellow" if counts["warning"] else "")
    return Group(summary, *(Group(Text(), _finding(finding)) for finding in findings))


def _headline(audit: Audit) -> Text:
    line = Text(clean(audit.recipe), style="bold")
    return line.append(
        f" on {clean(audit.data.description)} · {audit.num_steps} steps of {audit.num_sequences} sequences · "
        f"{clean(audit.device)} · {duration_text(audit.seconds)}",
        style="none",
    )


def _effects(audit: Audit) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(Text("  part", style="none"), no_wrap=True)
    table.add_column("without it", no_wrap=True)
    table.add_column("effect", no_wrap=True)
    table.add_column("")
    for row in audit.effects:
        table.add_row(Hanging(Text(f"  {clean(row.name)}"), indent=4), row.without, *_effect(row))
    return table


def _effect(row: EffectRow) -> tuple[Text, Text]:
    if row.verdict == "not testable":
        return Text("–", style="dim"), Text(clean(row.reason), style="dim")
    reason = Text(clean(row.reason))
    if row.share is not None:
        shown = f"share {_share(row.share)} of the gradient"
        return Text(shown, style="red" if row.verdict == "none" else ""), reason
    if row.verdict == "none":
        return Text("none", style="red" if row.kind == "part" else "yellow"), reason
    return Text("large" if row.largest > LARGE else _share(row.largest)), _where(row)


def _where(row: EffectRow) -> Text:
    """What it is that moves most."""
    figures = {
        "context embeddings": row.embeddings,
        "total loss": row.loss,
        "gradient at the encoder": row.gradient,
        "how parameters move": row.parameters,
    }
    return Text(max(figures, key=lambda name: (math.isnan(figures[name]), figures[name])), style="dim")


def _share(value: float) -> str:
    return "< 0.1 %" if 0 < value < 1e-3 else figure_text(value, "%")


def _facts(audit: Audit) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0), pad_edge=False)
    table.add_column(min_width=_LABEL_WIDTH, no_wrap=True)
    for label, fact in [*_data_facts(audit), *_step_facts(audit)]:
        table.add_row(Text(f"  {label}", style="dim"), Text(fact))
    return table


def _data_facts(audit: Audit) -> Iterator[tuple[str, str]]:
    data, null = audit.data, audit.data.nulls.strongest
    yield "sequences", f"{data.train_sequences:,} training, {data.validation_sequences:,} validation"
    yield from ((clean(label), clean(text)) for label, text in data.of_space.lines)
    yield (
        "copies",
        f"identical context {figure_text(data.identical_context, '%')} · target in context "
        f"{figure_text(data.target_in_context, '%')} · repeated in training "
        f"{figure_text(data.repeated_in_train, '%')} · "
        f"validation seen in training {figure_text(data.across_splits, '%')}",
    )
    yield (
        "strongest null",
        "none fits"
        if null is None
        else f"{null_title(null.name)}: MRR {rank_text(null.mrr)} · top-1 {figure_text(null.top1, '%')}, "
        "learns nothing",
    )


def _step_facts(audit: Audit) -> Iterator[tuple[str, str]]:
    step = audit.step
    limit = f"limit {step.clip_norm:g}" if step.clip_norm is not None else "no limit"
    yield "gradient norm", f"{' · '.join(figure_text(norm) for norm in step.grad_norms)}      {limit}"
    for name, (value, low, high) in step.temperatures.items():
        yield f"temperature of {clean(name)}", f"{figure_text(value)}      within {low:g} and {high:g}"
    for loss in audit.losses:
        grows = "" if loss.degree is None else f" · ×{2**loss.degree:.3g} when embeddings double"
        yield f"loss {clean(loss.name)}", f"{figure_text(loss.value)} · share {_share(loss.share)}{grows}"
    yield "padding", f"{figure_text(step.padding, '%')} of context tokens"
    yield "whole run", f"{step.total_steps:,} steps{_cost(step)}      {step.measured}"


def _cost(step: StepFigures) -> str:
    """Time and memory of all steps; nothing where not even one could be taken."""
    if not math.isfinite(step.seconds):
        return ""
    return f" of {figure_text(step.seconds)} s: {duration_text(step.run_seconds)} · {figure_text(step.memory_gib)} GiB"


def _finding(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(Text(f"  {finding.severity:<8}", style=_STYLE[finding.severity]), Text(clean(finding.message)))
    for line in _advice(finding):
        table.add_row("", clean(line))
    return table


def _advice(finding: Finding) -> Iterator[str]:
    if finding.advice:
        yield finding.advice
    if finding.set:
        yield flags_of(finding.set)


def audit_lines(findings: Sequence[Finding], command: str, width: int) -> Iterator[Text]:
    """The brief audit at a run's start: what is in order, in as few lines as it fits in, and each fault in its own.

    Args:
        findings: of the audit.
        command: what shows the whole audit; at the right of the last fault, or below it where there is no room.
        width: columns.
    """
    sound = [clean(finding.message).rstrip(".") for finding in findings if finding.severity == "info"]
    faults = [finding for finding in findings if finding.severity != "info"]
    if sound:
        label = Text().append(_FIRST, style="dim").append("ok  ", style="green")
        yield from part_lines(list(map(Text, sound)), width, label=label, indent=AUDIT_INDENT, separator=" · ")
    for number, finding in enumerate(faults):
        line = Text().append(_FURTHER if sound or number else _FIRST, style="dim")
        line.append("!   ", style=_STYLE[finding.severity]).append(clean(finding.message))
        room = width - line.cell_len - len(command)
        if number < len(faults) - 1:
            yield line
        elif room >= _BEFORE_COMMAND:
            yield line.append(" " * room + command, style="cyan")
        else:
            yield line
            yield Text(" " * AUDIT_INDENT, no_wrap=True, overflow="ignore").append(command, style="cyan")
