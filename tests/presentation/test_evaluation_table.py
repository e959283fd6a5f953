"""How an evaluation reads."""

from __future__ import annotations

import io
import re

import attrs
from rich.console import Console

from jepa_core.engine.checkpoint_evaluation import EvaluatedData, Evaluation
from jepa_core.engine.probe import Probe, Scores
from jepa_core.engine.retrieval import Retrieval
from jepa_core.presentation.evaluation_table import evaluation_table
from jepa_core.presentation.terminal import console_for
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.presentation.consoles import printed

EVALUATION = Evaluation(
    run="optimized-20261122-214501",
    step=1340,
    epoch=27.9,
    why="best: highest retrieval",
    device="NVIDIA H200, bf16",
    data=EvaluatedData(
        description="50,000 traces", fingerprint="ab", same_as_run=True, num_sequences=1000, num_candidates=998
    ),
    model=Retrieval(0.412, 0.31, 0.62),
    nulls=RankedNulls(
        figures=(
            NullFigures(name="extrapolation", mrr=0.364, top1=0.168, hard_mrr=0.39),
            NullFigures(name="equal_cells", mrr=0.242, top1=0.064, hard_mrr=0.331),
        ),
        strongest_hard="extrapolation",
        disabled=("palette_and_size",),
    ),
    probes=(
        Probe(
            label="rule",
            is_numeric=False,
            prediction=Scores(knn=0.5, linear=0.55),
            encoder=Scores(knn=0.25, linear=0.6),
            beside={
                "cells": Scores(knn=0.3, linear=0.2),
                "untrained prediction": Scores(knn=0.2, linear=0.1),
                "untrained encoder": Scores(knn=0.4, linear=0.35),
            },
            constant=0.125,
            num_classes=12,
            num_sequences=2990,
            num_fitted=2048,
        ),
        Probe(
            label="pace",
            is_numeric=True,
            prediction=Scores(knn=0.91, linear=0.934),
            encoder=Scores(knn=0.5, linear=-0.25),
            beside={"cells": Scores(knn=-0.1, linear=-1.5)},
            constant=0.0,
            num_classes=0,
            num_sequences=1000,
            num_fitted=1000,
        ),
        Probe(
            label="task",
            is_numeric=False,
            prediction=Scores(knn=0.1, linear=None),
            encoder=Scores(knn=0.2, linear=None),
            beside={},
            constant=0.006,
            num_classes=165,
            num_sequences=990,
            num_fitted=990,
        ),
    ),
    num_codes=768,
    projection_dim=256,
    figures={
        "val.loss.total": 5.3,
        "val.loss.info_nce.raw": 5.2,
        "val.loss.quantizer.raw": 0.0,
        "val.rank.context": 7.21,
        "val.rank.target": 8.3,
        "val.rank.lidar": 5.41,
        "val.order.sensitivity": 0.41,
        "val.retrieval.above_null": 0.048,
        "val.retrieval.above_null_low": 0.031,
        "val.retrieval.above_null_high": 0.066,
        "val.hard.mrr": 0.66,
        "val.hard.blind_mrr": 0.17,
        "val.hard.medoid_mrr": 0.21,
        "val.hard.chance_mrr": 0.173,
        "val.vq.usage": 0.141,
        "val.vq.perplexity": 61.2,
        "val.vq.dead": 660.0,
    },
    notes=("400 tasks remain",),
)


def shown(evaluation: Evaluation) -> list[str]:
    """Lines, with runs of blanks as one."""
    out = io.StringIO()
    console_for(out).print(evaluation_table(evaluation), crop=False)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_whole_evaluation() -> None:
    assert shown(EVALUATION) == [
        "optimized-20261122-214501 · step 1340, epoch 27.9 (best: highest retrieval) · NVIDIA H200, bf16",
        "validation split of 50,000 traces: 1,000 sequences, 998 different targets",
        "· the run's own data",
        "· 400 tasks remain",
        "",
        "retrieval model extrapolation",
        "MRR 0.412 0.364 +13 %",
        "top-1 31.0 % 16.8 % +85 %",
        "top-10 62.0 %",
        "MRR, near copies 0.660 extrapolation 0.390 +69 %",
        "less the strongest null's: +0.048 [0.031, 0.066], MRR paired by target",
        "controls of near copies: blind 0.170 · medoid 0.210 · chance 0.173",
        "nulls extrapolation 0.364 (16.8 %) · equal cells 0.242",
        "among near copies: extrapolation 0.390 · equal cells 0.331",
        "switched off: palette and size",
        "",
        "probes of labels kNN linear",
        "rule 12 classes, 2,990 sequences",
        "linear: 2,048 of them",
        "prediction 50.0 % 55.0 %",
        "encoder 25.0 % 60.0 %",
        "cells 30.0 % 20.0 %",
        "untrained prediction 20.0 % 10.0 %",
        "untrained encoder 40.0 % 35.0 %",
        "largest class 12.5 % 12.5 %",
        "pace R² over 1,000 sequences",
        "prediction 0.910 0.934",
        "encoder 0.500 −0.250",
        "cells −0.100 −1.50",
        "always the mean 0 0",
        "task 165 classes, 990 sequences",
        "prediction 10.0 % –",
        "encoder 20.0 % –",
        "largest class 0.6 % –",
        "task: other sequences of the same task are known, and may share observations",
        "",
        "loss 5.30 in all",
        "without weights info_nce 5.20",
        "effective rank projection: context 7.21 · target 8.30 · at most 256",
        "LiDAR 5.41 effective rank of what tells tasks apart",
        "codes 14.1 % of 768 in use · perplexity 61.2 · 660 never chosen",
        "order sensitivity 0.410 how far the state moves when the context is rotated, relative to its norm",
    ]


def test_readouts_stand_in_one_order_under_every_label() -> None:
    names = ("pixels", "untrained prediction", "untrained encoder")
    rule, _, task = EVALUATION.probes
    scores = [Scores(knn=0.1 * place, linear=None) for place in range(3)]
    probes = (
        attrs.evolve(rule, beside=dict(zip(names, scores, strict=True))),
        attrs.evolve(task, beside=dict(zip(names, reversed(scores), strict=True))),
    )
    lines = shown(attrs.evolve(EVALUATION, probes=probes))
    assert [name for line in lines for name in names if line.startswith(f"{name} ")] == [*names, *names]


def test_what_is_said_of_the_task_is_said_where_it_is_asked_for() -> None:
    assert not any(line.startswith("task:") for line in shown(attrs.evolve(EVALUATION, probes=EVALUATION.probes[:2])))


def test_what_is_not_there_is_not_shown() -> None:
    data = attrs.evolve(EVALUATION.data, same_as_run=None)
    lines = shown(attrs.evolve(EVALUATION, probes=(), num_codes=0, notes=(), why="", data=data))
    assert "(" not in lines[0]
    assert not any(line.startswith(("probes", "codes", "·")) for line in lines)


def test_a_figure_is_green_above_all_that_learned_nothing_and_red_below_the_best_of_it() -> None:
    out = io.StringIO()
    (rule, *_) = EVALUATION.probes
    console = Console(file=out, force_terminal=True, color_system="standard", width=80, highlight=False)
    console.print(evaluation_table(attrs.evolve(EVALUATION, probes=(rule,))), crop=False)
    styled = [line for line in out.getvalue().splitlines() if "prediction" in line or "encoder" in line][:2]
    assert [re.findall(r"\x1b\[1;(3\d)m([\d.]+ %)", line) for line in styled] == [
        [("32", "50.0 %"), ("32", "55.0 %")],
        [("31", "25.0 %"), ("32", "60.0 %")],
    ]


def test_probes_break_no_line_on_eighty_columns() -> None:
    wide, narrow = (printed(evaluation_table(EVALUATION), width=width) for width in (200, 80))
    first = next(number for number, line in enumerate(wide) if line.startswith("  probes"))
    probes = wide[first : wide.index("", first)]
    assert len(probes) == 19
    assert "\n".join(probes) in "\n".join(narrow)


def test_other_data_is_told_from_the_runs_own() -> None:
    lines = shown(attrs.evolve(EVALUATION, data=attrs.evolve(EVALUATION.data, same_as_run=False)))
    assert lines[2] == "· other data than the run's: whether its training saw some of it is not known"


def test_control_characters_of_a_dataset_do_not_reach_the_terminal() -> None:
    data = attrs.evolve(EVALUATION.data, description="evil \x1b[31m data")
    assert not any("\x1b" in line for line in shown(attrs.evolve(EVALUATION, data=data)))


def test_few_candidates_are_told_to_say_nothing() -> None:
    data = attrs.evolve(EVALUATION.data, num_sequences=1, num_candidates=1)
    shown = printed(evaluation_table(attrs.evolve(EVALUATION, data=data, model=Retrieval(1.0, 1.0, 1.0))))
    assert any(line.endswith(": 1 sequence, 1 different target") for line in shown)
    assert "  1 candidate: with fewer than 20 retrieval says nothing" in shown
    assert "says nothing" not in "".join(printed(evaluation_table(EVALUATION)))
