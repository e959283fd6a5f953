"""Where every rule of a run stands, a line each: for `jepa check` and the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.presentation.figures import change_text, figure_text, limit_text, value_beside_limit
from jepa_core.presentation.verdict_table import MARKS
from jepa_core.presentation.wrapping import Hanging
from jepa_core.visible_text import clean
from jepa_core.watch.judgement import Judgement, Kind

AT_RISK_MARK = ("◔", "yellow")
"""Of a rule that passes still, and whose trend leads to its limit."""


def rules_table(judgements: Iterable[Judgement], at_risk: Mapping[tuple[Kind, str], str] | None = None) -> Table:
    """Kind, mark and title, value, limit, margin; of what cannot be judged yet, why.

    Args:
        judgements: the rules, in the order to show them.
        at_risk: of those at risk, by kind and id, a remark in words.
    """
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0), pad_edge=False)
    for justify in ("left", "left", "right", "left", "right", "left"):
        table.add_column(justify=justify)
    for judgement in judgements:
        table.add_row(*_rule(judgement, (at_risk or {}).get((judgement.kind, judgement.id), "")))
    return table


def _rule(judgement: Judgement, at_risk: str) -> Iterator[RenderableType]:
    mark, style = AT_RISK_MARK if at_risk else MARKS[judgement.state]
    yield Text(judgement.kind, style="dim")
    yield Hanging(Text(mark, style=style).append(f" {clean(judgement.title, 60)}"), indent=2)
    value, margin = judgement.decisive_value, judgement.decisive_margin
    if value is None or judgement.limit is None:
        yield Text()
        yield Text(clean(judgement.when, 60) if judgement.evaluations else "not enough data", style="dim")
    else:
        yield Text(value_beside_limit(value, judgement.limit, judgement.unit))
        yield Text(limit_text(judgement.operator, judgement.limit, judgement.unit), style="dim")
    yield Text(change_text(margin) if margin else "")
    yield Text(at_risk or _since(judgement), style="yellow")


def _since(judgement: Judgement) -> str:
    """When it fired or failed for good."""
    if judgement.epoch is None or judgement.state not in ("fired", "failed"):
        return ""
    return f"{judgement.state} at epoch {figure_text(judgement.epoch)}"
