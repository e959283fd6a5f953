from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from jepa_core.metrics import ENGINE_METRICS
from jepa_core.presentation.terminal import console_for
from jepa_core.presentation.verdict_table import verdict_table
from jepa_core.watch.baseline import BaselineValues, series_of
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.judge import Judge
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Criterion, Scenario, Watch
from jepa_core.watch.verdict import BestCheckpoint, ComparedFigure, HardRetrieval, Verdict

RUN = Path("runs/optimized-20261122-214501")
WATCH = Watch(
    must=(
        Criterion(id="all-epochs", when="epoch >= 2"),
        Criterion(id="codebook-in-use", when="vq.usage > 0.10", hold="always"),
        Criterion(id="rank-of-context", when="rank.context > 5"),
    ),
    nice=(
        Criterion(id="above", title="retrieval above gentle_vq", when="val.retrieval.mrr > baseline.val.retrieval.mrr"),
        Criterion(id="codes", title="codes above 12 % always", when="vq.usage > 0.12", hold="always"),
    ),
)
ROWS = [
    {"step": 10, "epoch": 1.0, "vq.usage": 0.119},
    {"step": 20, "epoch": 2.0, "vq.usage": 0.141, "val.retrieval.mrr": 0.412, "val.retrieval.top1": 0.31,
     "val.retrieval.candidates": 998, "val.retrieval.above_null": 0.048, "val.retrieval.above_null_low": 0.031,
     "val.retrieval.above_null_high": 0.066, "val.hard.mrr": 0.66, "val.hard.null_mrr": 0.61,
     "val.hard.blind_mrr": 0.17, "val.hard.medoid_mrr": 0.21, "val.hard.chance_mrr": 0.173},
]  # fmt: skip
NULLS = RankedNulls(
    figures=(
        NullFigures(name="extrapolation", mrr=0.364, top1=0.168, hard_mrr=0.5),
        NullFigures(name="pair_analogy", mrr=0.3, top1=0.1, hard_mrr=0.61),
    ),
    strongest_hard="pair_analogy",
)

NEARLY_DEAD = Finding(
    name="audit losses.sigreg nearly dead",
    severity="warning",
    message="losses.sigreg is nearly dead.",
    step=0,
    advice="Leave it out.",
    set={"losses": {"sigreg": {"weight": 0.0}}},
)


def verdict_against(baseline: BaselineValues | None) -> Verdict:
    judge = Judge(WATCH, ENGINE_METRICS, baseline)
    for row in ROWS:
        judge.observe(row)
    best = BestCheckpoint(step=20, epoch=2.0, why="highest retrieval")
    return reach_verdict(judge, run=RUN, best=best, findings=[NEARLY_DEAD], nulls=NULLS)


def gentle_vq(mrr: float) -> BaselineValues:
    rows = [{"step": 20, "epoch": 2.0, "val.retrieval.mrr": mrr, "vq.usage": 0.1}]
    return BaselineValues(
        name="gentle_vq",
        run="gentle_vq-20261122-212210",
        path="runs/gentle_vq-1",
        same_data=True,
        series=series_of(rows),
    )


def plain(verdict: Verdict, width: int | None = None) -> str:
    out = io.StringIO()
    console = console_for(out)
    console.width = width or console.width
    console.print(verdict_table(verdict), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_on_a_narrow_screen_remarks_stand_below_titles_that_are_whole() -> None:
    assert plain(verdict_against(gentle_vq(0.371)), 76).split("\n")[4:14] == [
        "  must                          value  limit    margin",
        "  ✔ all epochs                      2  ≥ 2",
        "  ✔ codebook in use            14.1 %  > 10 %    +41 %",
        "    lowest 11.9 % at epoch 1",
        "  ◌ rank of context",
        "    not enough data",
        "  nice",
        "  ✔ retrieval above gentle_vq   0.412  > 0.371   +11 %",
        "  ✘ codes above 12 % always    11.9 %  > 12 %   −0.8 %",
        "    lowest 11.9 % at epoch 1",
    ]


def test_the_verdict_reads_as_a_table_with_values_limits_and_margins() -> None:
    assert plain(verdict_against(gentle_vq(0.371))) == (
        "Verdict: neutral against gentle_vq (run gentle_vq-20261122-212210, same data)"
        " · val.retrieval.mrr 11.1 % better than gentle_vq, but not every must held\n"
        "\n"
        "  must                            value    limit      margin\n"
        "  ✔ all epochs                        2    ≥ 2\n"
        "  ✔ codebook in use              14.1 %    > 10 %      +41 %    lowest 11.9 % at epoch 1\n"
        "  ◌ rank of context                                             not enough data\n"
        "  nice\n"
        "  ✔ retrieval above gentle_vq     0.412    > 0.371     +11 %\n"
        "  ✘ codes above 12 % always      11.9 %    > 12 %     −0.8 %    lowest 11.9 % at epoch 1\n"
        "\n"
        "  against gentle_vq         val.retrieval.mrr 0.412 beside 0.371 (11 % better)\n"
        "  retrieval on validation   MRR 0.412 · top-1 31.0 %      strongest null (extrapolation) 0.364 · 16.8 %"
        "   +0.048 [0.031, 0.066]\n"
        "  near copies               MRR 0.660 · pair analogy 0.610 · blind 0.170 · medoid 0.210\n"
        "  best checkpoint           step 20, epoch 2: highest retrieval\n"
        "  while it ran              1 warning · 0 rollbacks\n"
        "    ▲ losses.sigreg is nearly dead.   at the start   Leave it out.   --set losses.sigreg.weight=0.0\n"
        "\n"
        "Next: jepa recipe diff runs/gentle_vq-1/recipe.toml runs/optimized-20261122-214501/recipe.toml"
        "        what was changed"
    )


def test_a_compared_figure_goes_by_its_name_and_in_its_unit() -> None:
    figure = ComparedFigure(name="mine.spread", value=0.5, baseline=0.4, change=0.25, unit="%")
    verdict = attrs.evolve(verdict_against(gentle_vq(0.371)), compared=(figure,))
    assert "mine.spread 50.0 % beside 40.0 % (25 % better)" in plain(verdict)


def test_without_a_baseline_the_headline_says_how_the_musts_went() -> None:
    assert plain(verdict_against(None)).splitlines()[0] == (
        "Verdict: neutral · above extrapolation, the strongest null: MRR +0.048 [0.031, 0.066], but not every must held"
        " · 1 of 3 musts not judged"
    )


def retrieval_lines(**changes: Any) -> list[str]:
    """Those between retrieval and the best checkpoint, blanks as one."""
    verdict = verdict_against(None)
    assert verdict.retrieval is not None
    verdict = attrs.evolve(verdict, retrieval=attrs.evolve(verdict.retrieval, **changes))
    lines = [" ".join(line.split()) for line in plain(verdict).splitlines()]
    start = next(index for index, line in enumerate(lines) if line.startswith("retrieval on validation"))
    return lines[start : next(index for index, line in enumerate(lines) if line.startswith("best checkpoint"))]


def test_a_null_that_failed_and_a_baseline_of_other_data_are_named() -> None:
    verdict = attrs.evolve(verdict_against(None), not_compared="the figures of no VQ were measured on other data")
    assert "no baseline" in plain(verdict)
    assert "the figures of no VQ were measured on other data" in plain(verdict)
    assert retrieval_lines(failed={"my_null": "ValueError: boo"})[-1] == "null left out my null: ValueError: boo"


def test_targets_that_the_null_alone_finds_are_counted_and_some_tasks_named() -> None:
    _, line, _ = retrieval_lines(num_null_only=1234, null_only=("arc-1", "arc-2\x1b[2J"))
    assert line.startswith(
        "the null alone finds 1,234 targets ranked first by it and not by the model, such as of arc-1"
    )
    assert "\x1b" not in line
    assert (
        retrieval_lines(num_null_only=1)[1] == "the null alone finds 1 target ranked first by it and not by the model"
    )


@pytest.mark.parametrize(("candidates", "words"), [(1, "among 1 candidate"), (99, "among 99 candidates"), (100, "")])
def test_few_candidates_are_counted(candidates: int, words: str) -> None:
    line = retrieval_lines(candidates=candidates)[0]
    assert (words or "among") in line if words else "among" not in line


def test_a_difference_below_zero_has_its_sign_on_every_figure() -> None:
    line = retrieval_lines(above=-0.043, above_low=-0.06, above_high=-0.02)[0]
    assert line.endswith("16.8 % −0.043 [−0.060, −0.020]")


def test_where_no_null_fits_the_line_says_so() -> None:
    line = retrieval_lines(null="", null_mrr=None, null_top1=None, above=None)[0]
    assert line == "retrieval on validation MRR 0.412 · top-1 31.0 % no null fits this data"


def test_a_run_that_recorded_no_nulls_is_not_said_to_have_none() -> None:
    line = retrieval_lines(null="", null_mrr=None, candidates=None)[0]
    assert line == "retrieval on validation MRR 0.412 · top-1 31.0 %"


def test_near_copies_that_say_nothing_are_called_void_with_the_reason() -> None:
    hard = HardRetrieval(mrr=0.9, blind_mrr=0.8, void="the blind control reaches 0.800 where chance is 0.173")
    assert retrieval_lines(hard=hard)[1] == (
        "near copies MRR 0.900 · blind 0.800 void: the blind control reaches 0.800 where chance is 0.173"
    )


def test_nulls_that_are_switched_off_are_named() -> None:
    assert retrieval_lines(disabled=("pair_analogy",))[-1] == "nulls switched off pair analogy"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_any_width_no_word_of_the_retrieval_is_broken(width: int) -> None:
    words = {word for line in plain(verdict_against(None), width).splitlines() for word in line.split()}
    assert {"retrieval", "strongest", "(extrapolation)", "0.364", "+0.048", "[0.031,", "0.066]", "medoid"} <= words


def found(name: str, severity: Severity = "warning", **evidence: Any) -> Finding:
    return Finding(name=name, severity=severity, message=f"{name} it is", step=640, epoch=13.25, evidence=evidence)


def test_findings_say_since_when_they_are_and_how_often_they_came() -> None:
    findings = (
        found("collapse", "critical", first_sign=600),
        found("skipped", times=12),
        found("dead", first_sign=640),
    )
    text = plain(attrs.evolve(verdict_against(None), findings=findings))
    assert "while it ran              1 critical · 2 warnings · 0 rollbacks" in text
    assert "    ✘ collapse it is   since step 600, told at 640\n" in text
    assert "    ▲ skipped it is   step 640, epoch 13.2, 12 times\n" in text
    assert "    ▲ dead it is   step 640, epoch 13.2\n" in text


def test_of_many_findings_the_first_are_shown_and_where_the_others_are() -> None:
    verdict = attrs.evolve(verdict_against(None), findings=tuple(found(f"f{number}") for number in range(11)))
    text = plain(verdict)
    assert "f7 it is" in text
    assert "f8 it is" not in text
    assert "… and 3 more, which jepa check shows" in text


def test_a_long_finding_stays_within_its_column() -> None:
    verdict = attrs.evolve(verdict_against(None), findings=(attrs.evolve(NEARLY_DEAD, advice="very long " * 30),))
    shown = plain(verdict).splitlines()
    (start,) = (number for number, line in enumerate(shown) if line.startswith("    ▲"))
    assert shown[start + 1].startswith(("      very", "      long"))


def test_a_change_without_effect_says_so_first() -> None:
    verdict = attrs.evolve(
        verdict_against(gentle_vq(0.4)), outcome="no effect", reason="Every figure equals gentle_vq's."
    )
    assert plain(verdict).startswith("Verdict: no effect. Every figure equals gentle_vq's.")


@pytest.mark.parametrize("payload", ["\x1b[2J\x1b]52;c;x\x07", "[bold red]x[/]", "\u202e", "[/]", "\x9b1m"])
def test_foreign_text_neither_steers_the_terminal_nor_acts_as_markup(payload: str) -> None:
    verdict = verdict_against(attrs.evolve(gentle_vq(0.371), name=payload, run=payload))
    verdict = attrs.evolve(
        verdict,
        reason=payload,
        findings=(
            Finding(
                name=payload, severity="warning", message=payload, advice=payload, set={payload: {payload: payload}}
            ),
        ),
        next=f"{payload}  # {payload}",
        best=BestCheckpoint(step=1, epoch=1.0, why=payload),
        judgements=tuple(attrs.evolve(judgement, title=payload, when=payload) for judgement in verdict.judgements),
    )
    text = plain(verdict)
    assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert "[" not in payload or payload.lstrip("\x1b\x9b")[:3] in text


def test_on_eighty_columns_titles_headline_and_next_go_on_indented() -> None:
    criterion = Criterion(id="a", title="near copies above the strongest null among them", when="rank.context > 5")
    judge = Judge(Watch(must=(criterion,)), ENGINE_METRICS, None)
    judge.observe({"step": 10, "epoch": 1.0, "rank.context": 4.0, "val.retrieval.mrr": 0.4})
    command = f"jepa monitor {RUN.name}-with-a-longer-name --once"
    verdict = attrs.evolve(
        reach_verdict(judge, run=RUN),
        reason="above values extrapolation, the strongest null: MRR +0.203 [0.120, 0.286]",
        outcome="success",
        next=f"{command}  # the last figures and events",
    )
    lines = plain(verdict, 60).splitlines()
    assert lines[:2] == [
        "Verdict: success · above values extrapolation, the strongest",
        "  null: MRR +0.203 [0.120, 0.286] · 1 of 1 musts failed",
    ]
    (title,) = (number for number, line in enumerate(lines) if line.startswith("  ✘ near copies"))
    assert lines[title + 1].startswith("    ")
    assert lines[title + 1].strip()
    assert lines[-2:] == [f"Next: {command}", "      the last figures and events"]


def test_a_figure_that_is_the_lower_end_of_an_interval_is_called_so() -> None:
    rows = {"step": 10, "epoch": 1.0, "val.retrieval.above_null": -0.123, "val.retrieval.above_null_low": -0.23}
    criteria = (
        Criterion(id="low", when="val.retrieval.above_null_low > 0"),
        Criterion(id="middle", when="val.retrieval.above_null > 0"),
    )
    judge = Judge(Watch(must=criteria), ENGINE_METRICS, None)
    judge.observe(rows)
    low, middle = (
        " ".join(line.split()) for line in plain(reach_verdict(judge, run=RUN)).splitlines() if "> 0" in line
    )
    assert low == "✘ low lower end −0.230 > 0"
    assert middle == "✘ middle −0.123 > 0"


def test_names_of_tasks_are_told_apart_and_stay_whole() -> None:
    verdict = verdict_against(None)
    assert verdict.retrieval is not None
    tasks = ("image 633: 5", "image 1245: 6", "image 1049: 0")
    verdict = attrs.evolve(verdict, retrieval=attrs.evolve(verdict.retrieval, num_null_only=9, null_only=tasks))
    assert "such as of image 633: 5 · image 1245: 6 · image 1049: 0" in plain(verdict)
    for width in range(60, 120):
        shown = plain(verdict, width)
        assert all(task in shown for task in tasks), width


def test_the_first_line_says_that_a_run_collapsed() -> None:
    message, advice = "The context embeddings collapse: rank.context 1.2", "Spread them."
    collapse = Finding(name="scenario rank", severity="critical", message=message, step=220, advice=advice)
    judge = Judge(WATCH, ENGINE_METRICS, None)
    for row in ROWS:
        judge.observe(row)
    for findings, begins in (
        ([collapse, NEARLY_DEAD], "Verdict: neutral · the context embeddings collapse (step 220) · above"),
        ([attrs.evolve(collapse, message="MRR falls", step=None)], "Verdict: neutral · MRR falls · above"),
        ([NEARLY_DEAD], "Verdict: neutral · above"),
    ):
        assert plain(reach_verdict(judge, run=RUN, findings=findings, nulls=NULLS)).startswith(begins)


def test_a_run_that_is_too_short_to_be_judged_says_so() -> None:
    needing = Scenario(id="collapse", when="vq.usage < 0.01 and step >= 200")
    judge = Judge(attrs.evolve(WATCH, scenario=(needing, Scenario(id="soon", when="vq.usage < 0.01"))), ENGINE_METRICS)
    for row in ROWS:
        judge.observe(row)
    said = plain(reach_verdict(judge, run=RUN))
    assert re.search(r"\n  not judged +1 of 2 scenarios: the run has 20 steps, and it needs 200\n", said)
    assert "not judged" not in plain(verdict_against(gentle_vq(0.371)))
