"""Where every rule of a run stands, a line each: for `jepa check` and the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.figures import change_text, figure_text, limit_text, value_beside_limit
from jepa_core.presentation.verdict_table import MARKS
from jepa_core.presentation.wrapping import FirstFitting, Hanging
from jepa_core.visible_text import clean
from jepa_core.watch.judgement import Judgement, Kind

AT_RISK_MARK = ("◔", "yellow")
"""Of a rule that passes still, and whose trend leads to its limit."""


def rules_table(
    judgements: Iterable[Judgement], at_risk: Mapping[tuple[Kind, str], str] | None = None
) -> RenderableType:
    """Kind, mark and title, value, limit, margin; of what cannot be judged yet, why. On a narrow screen what is said in
    words stands below the titles.

    Args:
        judgements: the rules, in the order to show them.
        at_risk: of those at risk, by kind and id, a remark in words.
    """
    told = [(judgement, (at_risk or {}).get((judgement.kind, judgement.id), "")) for judgement in judgements]
    return FirstFitting([_table(told, gap=3), _table(told, gap=2, are_words_below=True)])


def _table(told: Iterable[tuple[Judgement, str]], *, gap: int, are_words_below: bool = False) -> Table:
    table = Table(box=None, show_header=False, padding=(0, gap, 0, 0), pad_edge=False)
    for justify in ("left", "left", "right", "left", "right", *(() if are_words_below else ("left",))):
        table.add_column(justify=justify)
    for judgement, at_risk in told:
        title, value, limit, margin, condition, remark = _rule(judgement, at_risk)
        kind = Text(judgement.kind, style="dim")
        if are_words_below:
            below = [Hanging(Text("  ") + words, indent=2) for words in (condition, remark) if words.plain]
            table.add_row(kind, Group(title, *below), value, limit, margin)
        else:
            table.add_row(kind, title, value, condition if condition.plain else limit, margin, remark)
    return table


def _rule(judgement: Judgement, at_risk: str) -> tuple[Hanging, Text, Text, Text, Text, Text]:
    """Title, value, limit and margin; in words what is asked where no number is the limit, and a remark."""
    mark, style = AT_RISK_MARK if at_risk else MARKS[judgement.state]
    title = Hanging(Text(mark, style=style).append(f" {clean(judgement.title, 60)}"), indent=2)
    number, margin = judgement.decisive_value, judgement.decisive_margin
    value, limit, condition = Text(), Text(style="dim"), Text(style="dim")
    if number is None or judgement.limit is None:
        lack = f"needs {judgement.steps_needed} steps" if judgement.steps_needed else "not enough data"
        condition.append(clean(judgement.when, 60) if judgement.evaluations else lack)
    else:
        value.append(value_beside_limit(number, judgement.limit, judgement.unit, of=judgement.when))
        limit.append(limit_text(judgement.operator, judgement.limit, judgement.unit, of=judgement.when, value=number))
    remark = Text(at_risk or _since(judgement), style="yellow")
    return title, value, limit, Text(change_text(margin) if margin else ""), condition, remark


def _since(judgement: Judgement) -> str:
    """When it fired or failed for good."""
    if judgement.epoch is None or judgement.state not in ("fired", "failed"):
        return ""
    return f"{judgement.state} at epoch {figure_text(judgement.epoch)}"
