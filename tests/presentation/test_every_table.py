"""Every table, given the same foreign text in all its places: it stays within the screen, and nothing in it acts."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import RenderableType

from jepa_core.comparison.comparing import compare_runs
from jepa_core.conformance import CheckResult
from jepa_core.discovery.remarks import BrokenPlugin
from jepa_core.engine.probe import Scores
from jepa_core.metrics import Metric
from jepa_core.presentation.ablation_table import ablation_table
from jepa_core.presentation.audit_table import audit_table
from jepa_core.presentation.comparison_table import comparison_table
from jepa_core.presentation.component_tables import components_table
from jepa_core.presentation.evaluation_table import evaluation_table
from jepa_core.presentation.recipe_view import differences_view
from jepa_core.presentation.replay_table import replay_table
from jepa_core.presentation.rollback_table import rollback_table
from jepa_core.presentation.runs_table import RunsTable
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.recipes.difference import Change
from jepa_core.rollback.plan import RollbackPlan
from jepa_core.spaces import SpaceAudit
from jepa_core.watch.findings import Finding, Firing
from jepa_core.watch.judgement import Extreme, Judgement
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.replay import Replay
from jepa_core.watch.rollback_story import PastRollback
from jepa_core.watch.verdict import BestCheckpoint, ComparedFigure, HardRetrieval, Retrieval, Verdict
from tests.ablation.results import a_plan, a_result
from tests.comparison.recorded import recorded
from tests.presentation.consoles import printed
from tests.presentation.test_audit_table import AUDIT, row
from tests.presentation.test_conformance_table import COMPONENT, conformance_lines
from tests.presentation.test_evaluation_table import EVALUATION
from tests.presentation.test_runs_table import RUN

MRR = "val.retrieval.mrr"
HOSTILE = st.text(
    st.sampled_from("ab .-_=[/]\"'\\%−漢字🙂é̂\x00\x07\x1b\x9b\x7f\u202e\u2066\u200b\r\n\t\u2028"), max_size=80
)
LONG = HOSTILE.flatmap(lambda text: st.integers(1, 12).map(lambda times: text * times))
FIGURES = st.sampled_from([0.0, -0.0, 0.4125, -3.7, 1e-9, 1e12, math.nan, math.inf, -math.inf])


def finding(text: str) -> dict[str, Any]:
    return {"name": text, "message": text, "advice": text, "set": {text or "k": {text or "k": text}}, "step": 640.0}


def judgement(text: str, figure: float, **changes: Any) -> Judgement:
    worst = Extreme(value=figure, epoch=2.0, margin=figure)
    judged = Judgement(
        id=text, kind="must", title=text, when=text, state="failed", value=figure, operator=text, limit=0.5, unit=text
    )
    return attrs.evolve(judged, worst=worst, margin=figure, evaluations=1, epoch=2.0, **changes)


def nulls(text: str, figure: float) -> RankedNulls:
    ranked = tuple(NullFigures(name=f"{index}{text}", mrr=figure, top1=figure, hard_mrr=figure) for index in range(3))
    return RankedNulls(figures=ranked, strongest_hard=f"1{text}", disabled=(text,), failed={text: text})


def comparison(text: str, figure: float) -> RenderableType:
    runs = []
    for index, data in enumerate("dd" if figure > 0 else "de"):
        run = recorded(
            f"{index}{text}", {MRR: {1: figure, 2: 0.5 * index}, text: {2: figure}}, data=data, x=text * index
        )
        declared = {name: Metric(name, text, "higher", text) for name in (MRR, text)}
        runs.append(
            attrs.evolve(run, declared=declared, nulls=nulls(text, figure), state="running", path=f"runs/{index}")
        )
    return comparison_table(compare_runs(runs))


def verdict(text: str, figure: float) -> RenderableType:
    hard = HardRetrieval(mrr=figure, null=text, null_mrr=figure, blind_mrr=figure, medoid_mrr=figure, void=text)
    retrieval = Retrieval(
        mrr=figure, top1=figure, candidates=9, null=text, null_mrr=figure, null_top1=figure, above=figure,
        above_low=figure, above_high=figure, num_null_only=3, null_only=(text, text), disabled=(text,),
        failed={text: text}, hard=hard,
    )  # fmt: skip
    return verdict_table(
        Verdict(
            run=text,
            outcome="regression",
            reason=text,
            ending="finished",
            baseline=text,
            baseline_run=text,
            not_compared=text,
            judgements=(judgement(text, figure), judgement(text, figure, kind="nice", state="holding")),
            compared=(ComparedFigure(name=text, value=figure, baseline=figure, change=figure),),
            retrieval=retrieval,
            best=BestCheckpoint(step=1, epoch=2.0, why=text),
            findings=(Finding(**finding(text), severity="warning"),) * 9,
            story=(PastRollback(parent=text, scenario=text, title=text, changes=(text,)),),
        )
    )


def replayed(text: str, figure: float) -> RenderableType:
    firing = Firing(**finding(text), severity="critical", kind="abort")
    judgements = (judgement(text, figure), judgement(text, figure, kind="scenario", state="pending"))
    return replay_table(text, 3, Replay(firings=(firing,), judgements=judgements, step=3.0, epoch=figure))


def rollback(text: str, figure: float) -> RenderableType:
    rows = ({"step": 1.0, text: figure, "lr": text},)
    evidence = {"baseline": {text: figure}}
    changes = (Change(text, text, figure),)
    return rollback_table(
        text,
        RollbackPlan(
            scenario=text, title=f"{text}!", message=text, advice=text, fired_step=3, first_sign=2.0, use=text,
            evidence=evidence, rows=rows, changes=changes, command=text, notes=(text,),
        ),
    )  # fmt: skip


def audit(text: str, figure: float) -> RenderableType:
    effects = (
        row(text, reason=text, verdict="none"),
        row(text, loss=figure),
        row(text, reason=text, verdict="not testable"),
    )
    losses = (attrs.evolve(AUDIT.losses[0], name=text, value=figure, share=figure, degree=None),)
    data = attrs.evolve(
        AUDIT.data, description=text, of_space=SpaceAudit(lines=((text, text),)), nulls=nulls(text, figure)
    )
    step = attrs.evolve(AUDIT.step, temperatures={text: (figure, 0.1, 0.2)}, grad_norms=(figure,) * 3, seconds=figure)
    findings = (Finding(**finding(text), severity="critical"),)
    return audit_table(
        attrs.evolve(AUDIT, recipe=text, effects=effects, losses=losses, data=data, step=step, findings=findings)
    )


def ablation(text: str, figure: float) -> RenderableType:
    plan = a_plan({f"aggregator.{text}": (f"a{text}", f"b{text}"), "optimizer.lr": ("0.1", "0.2")}, 2)
    figures = {(run.cell.values, run.seed): figure * run.cell.number for run in plan.runs}
    result = a_result(plan, figures)
    return ablation_table(attrs.evolve(result, path=text, notes=(text,), metric=Metric(text, text, "lower", "%")))


def evaluation(text: str, figure: float) -> RenderableType:
    data = attrs.evolve(EVALUATION.data, description=text)
    figures = {**dict.fromkeys(EVALUATION.figures, figure), f"val.loss.{text}": figure}
    scores = Scores(knn=figure, linear=figure)
    probes = tuple(
        attrs.evolve(probe, label=text, prediction=scores, beside={text: scores}, constant=figure)
        for probe in EVALUATION.probes
    )
    return evaluation_table(
        attrs.evolve(
            EVALUATION, run=text, why=text, data=data, nulls=nulls(text, figure), probes=probes, figures=figures,
            notes=(text,),
        )
    )  # fmt: skip


def runs(text: str, figure: float) -> RenderableType:
    run = attrs.evolve(RUN, name=text, epoch=figure, best_mrr=figure, null_mrr=figure, null=text, baseline=text)
    return RunsTable([run, run])


def components(text: str, _figure: float) -> RenderableType:
    component = attrs.evolve(COMPONENT, name=text, distribution=text, version=text)
    remark = BrokenPlugin(distribution=text, version=text, entry_point=text, cause=text, remedy=text)
    return components_table([component], [remark])


def conformance(text: str, _figure: float) -> RenderableType:
    failed = CheckResult(check=text, promise=text, outcome="failed", message=text)
    return conformance_lines(attrs.evolve(COMPONENT, name=text), failed)


def differences(text: str, figure: float) -> RenderableType:
    return differences_view((Change(text, text, figure), Change(text, None, [text])), text, str(Path(text)))


Table = Callable[[str, float], RenderableType]
TABLES: tuple[Table, ...] = (
    ablation, audit, comparison, components, conformance, differences, evaluation, replayed, rollback, runs, verdict,
)  # fmt: skip
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
@given(text=LONG, figure=FIGURES)
@settings(max_examples=25, deadline=None)
def test_on_eighty_columns_no_line_is_longer_and_no_character_acts(table: Table, text: str, figure: float) -> None:
    for line in printed(table(text, figure), width=80):
        # A command is copied as it stands.
        assert cell_len(line) <= 80 or (table is rollback and line.startswith("  command ")), line
        acting = [character for character in line if unicodedata.category(character) in ACTING]
        assert not acting, line


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
@pytest.mark.parametrize("width", [40, 200])
def test_markup_in_a_name_is_shown_as_it_is_written(table: Table, width: int) -> None:
    shown = "".join("".join(printed(table("[red]x[/red]", 0.25), width=width)).split())
    assert "[red]x" in shown
