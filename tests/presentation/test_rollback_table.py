from __future__ import annotations

from io import StringIO

from rich.console import Console

from jepa_core.presentation.rollback_table import rollback_table
from jepa_core.rollback.plan import RollbackPlan


def shown(plan: RollbackPlan, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(rollback_table("optimized-2026", plan), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_figures_stand_beside_those_of_the_baseline_that_they_were_judged_by() -> None:
    plan = RollbackPlan(
        scenario="A",
        evidence={"baseline": {"val.retrieval.mrr": 0.0943, "vq.usage": "nan", "rank.context": None}},
        rows=({"step": 21.0, "epoch": 3.0, "val.retrieval.mrr": 0.0693},),
    )
    lines = [line.strip() for line in shown(plan).splitlines()]
    assert "figures        step 21   val.retrieval.mrr 0.069" in lines
    assert "baseline       val.retrieval.mrr 0.094   vq.usage nan" in lines


def test_a_row_without_a_figure_is_left_out() -> None:
    rows = ({"step": 20.0, "epoch": 2.9}, {"step": 21.0, "vq.usage": None}, {"step": 22.0, "vq.usage": 0.5})
    lines = [line.strip() for line in shown(RollbackPlan(scenario="A", rows=rows)).splitlines()]
    assert "figures        step 22   vq.usage 0.500" in lines
    assert not any(line.startswith(("figures        step 20", "step 21")) for line in lines)


def test_a_plan_without_a_baseline_says_nothing_of_one() -> None:
    assert "baseline" not in shown(RollbackPlan(evidence={"baseline": "hostile"}))


def test_the_command_is_one_line_on_any_terminal() -> None:
    command = f"jepa rollback {'a' * 60} --set {'b' * 600} --plugin mine.py"
    plan = RollbackPlan(scenario="A", command=command, checkpoint_step=3)
    last, before = (shown(plan, width=60).splitlines()[number] for number in (-1, -2))
    assert last == f"  command        {command}"
    assert before == "  goes back to   the checkpoint of step 3"
