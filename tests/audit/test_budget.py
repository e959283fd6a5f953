"""What a run's length and batch rule out, found before its first step."""

from __future__ import annotations

import dataclasses
import math
import operator as op
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jepa_core.audit.brief import brief_audit
from jepa_core.audit.budget import budget_findings, run_findings
from jepa_core.engine.course import Course
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding
from jepa_core.watch.rules import Abort, Criterion, Rollback, Watch
from tests.audit.recipes import COMPUTE, data_of

RecipeMaker = Callable[..., Recipe]
BATCHES = 10


def budgeted(recipe: Recipe, *, epochs: int = 10, watch: Watch | None = None, **schedule: Any) -> list[Finding]:
    recipe = attrs.evolve(
        recipe,
        train=attrs.evolve(recipe.train, epochs=epochs, accumulate=1),
        schedule=attrs.evolve(recipe.schedule, **{"warmup_steps": 0, "total_steps": None, **schedule}),
        watch=watch or Watch(),
    )
    return list(budget_findings(recipe, Course.of(recipe, BATCHES * recipe.train.batch_size)))


def named(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.severity for finding in findings}


def test_a_run_that_fits_its_schedule_and_its_rules_is_told_nothing(tiny_recipe: RecipeMaker) -> None:
    watch = Watch(must=(Criterion(id="all", when="epoch >= epochs - 0.1"), Criterion(id="b", when="lr > 0")))
    assert budgeted(tiny_recipe(), watch=watch, warmup_steps=10) == []
    assert budgeted(tiny_recipe(), watch=watch, total_steps=105) == []


@pytest.mark.parametrize("warmup", [100, 1000])
def test_a_warm_up_as_long_as_the_run_is_told_with_what_to_change(tiny_recipe: RecipeMaker, warmup: int) -> None:
    (finding,) = budgeted(tiny_recipe(), warmup_steps=warmup)
    assert finding.name == "warm-up longer than the run"
    assert f"{warmup:,}" in finding.message
    assert "100 steps" in finding.message
    assert finding.set == {"schedule": {"warmup_steps": 10}}


def test_a_schedule_that_the_run_cuts_off_is_told_with_where_it_ends(tiny_recipe: RecipeMaker) -> None:
    (finding,) = budgeted(tiny_recipe(), total_steps=300)
    assert finding.name == "schedule cut off"
    assert "300" in finding.message
    assert finding.evidence["last"] > 0.7


@pytest.mark.parametrize("hold", ["end", "once"])
def test_a_must_that_no_run_of_this_length_can_fulfil_is_critical(tiny_recipe: RecipeMaker, hold: Any) -> None:
    for when in ("epoch >= 29.9", "step > 100", "epoch >= 29.9 and val.retrieval.mrr > 0.5"):
        found = budgeted(tiny_recipe(), watch=Watch(must=(Criterion(id="all", when=when, hold=hold),)))
        assert named(found) == {"must all out of reach": "critical"}
        assert "train.epochs = 10" in found[0].message
    for when in ("epoch >= 9.9", "epoch < 5 or step >= 100"):
        assert budgeted(tiny_recipe(), watch=Watch(must=(Criterion(id="all", when=when, hold=hold),))) == []


@pytest.mark.parametrize(
    "criterion",
    [
        Criterion(id="all", when="epoch >= epochs", until_epoch=2.0),
        Criterion(id="all", when="epochs > 500 and loss.total > 0"),
        Criterion(id="all", when="epoch < 0.0001", hold="always"),
    ],
)
def test_a_must_that_the_clocks_rule_out_is_found_however_it_is_written(
    tiny_recipe: RecipeMaker, criterion: Criterion
) -> None:
    assert named(budgeted(tiny_recipe(), watch=Watch(must=(criterion,)))) == {"must all out of reach": "critical"}


def test_a_once_that_holds_early_is_in_reach(tiny_recipe: RecipeMaker) -> None:
    watch = Watch(must=(Criterion(id="early", when="epoch < 2", hold="once"),))
    assert budgeted(tiny_recipe(), watch=watch) == []


def test_epochs_beyond_the_run_are_told(tiny_recipe: RecipeMaker) -> None:
    watch = Watch(
        must=(Criterion(id="m", when="lr > 0", after_epoch=12),),
        nice=(Criterion(id="n", when="lr > 0", until_epoch=12),),
        abort=(Abort(id="a", when="lr > 0", at_epoch=15), Abort(id="fine", when="lr > 0", at_epoch=10)),
        rollback=(Rollback(id="r", when="lr > 0", after_epoch=10),),
    )
    assert named(budgeted(tiny_recipe(), watch=watch)) == {
        "must m beyond the run": "critical",
        "nice n beyond the run": "info",
        "abort a beyond the run": "warning",
        "rollback r beyond the run": "warning",
    }


@pytest.mark.parametrize("queue", [0, 64])
def test_a_batch_of_one_is_told_at_the_runs_own_size_whatever_it_accumulates(
    tiny_recipe: RecipeMaker, queue: int
) -> None:
    recipe = tiny_recipe("train.batch_size=1", "train.accumulate=16", f"losses.info_nce.queue={queue}")
    found = {finding.name: finding for finding in brief_audit(recipe, data_of(recipe), COMPUTE, 60.0)}
    assert found["a batch of one"].severity == ("warning" if queue else "critical")
    assert ("losses.info_nce constant" in found) is (queue == 0)


@pytest.mark.parametrize(("classes", "names"), [([0, 0, 0], ["a label of one class"]), ([0, 1, 0], [])])
def test_a_label_whose_probe_could_only_be_right_is_named(
    tiny_recipe: RecipeMaker, classes: list[int], names: list[str]
) -> None:
    recipe = tiny_recipe()
    dataset = data_of(recipe)
    size = len(dataset.validation)
    labels = {"rule": torch.tensor(classes).repeat(size)[:size]}
    dataset = dataclasses.replace(dataset, validation=dataclasses.replace(dataset.validation, labels=labels))
    found = [finding.name for finding in run_findings(recipe, dataset)]
    assert [name for name in found if "class" in name] == names


COMPARISONS = {">=": op.ge, ">": op.gt, "<": op.lt, "<=": op.le}
CRITERIA = st.builds(
    Criterion,
    id=st.just("c"),
    when=st.one_of(
        st.tuples(st.just("step"), st.sampled_from([*COMPARISONS]), st.integers(0, 130).map(str)),
        st.tuples(st.just("epoch"), st.sampled_from([*COMPARISONS]), st.integers(0, 130).map(lambda n: f"{n / 10:g}")),
    ).map(" ".join),
    hold=st.sampled_from(["end", "once", "always"]),
    until_epoch=st.none() | st.integers(1, 9).map(float),
)


@given(criterion=CRITERIA)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_must_on_a_clock_is_out_of_reach_exactly_if_counting_the_steps_says_so(
    tiny_recipe: RecipeMaker, criterion: Criterion
) -> None:
    clock, operator, limit = criterion.when.split()
    epochs = [step / BATCHES for step in range(1, 101)]
    judged = [epoch for epoch in epochs if criterion.until_epoch is None or epoch <= criterion.until_epoch]
    values = [epoch if clock == "epoch" else float(round(epoch * BATCHES)) for epoch in judged]
    holds = [COMPARISONS[operator](value, float(limit)) for value in values]
    in_reach = any(holds) if criterion.hold == "once" else holds[-1]
    expected = {} if in_reach else {"must c out of reach": "critical"}
    assert named(budgeted(tiny_recipe(), watch=Watch(must=(criterion,)))) == expected


@example(total=130, warmup=0, floor=0.0)
@given(total=st.integers(1, 400), warmup=st.integers(0, 99), floor=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_schedule_is_cut_off_exactly_if_its_cosine_is_far_above_the_floor_at_the_last_step(
    tiny_recipe: RecipeMaker, total: int, warmup: int, floor: float
) -> None:
    findings = budgeted(tiny_recipe(), total_steps=max(total, warmup + 1), warmup_steps=warmup, floor=floor)
    total = max(total, warmup + 1)

    def cosine(step: int) -> float:
        progress = min(1.0, (step - warmup) / (total - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    is_cut = cosine(99) - max(floor, cosine(total - 1)) > 0.1
    assert [finding.name for finding in findings] == ["schedule cut off"] * is_cut
    for finding in findings:
        assert finding.evidence["last"] == pytest.approx(cosine(99))
        assert finding.set == {"schedule": {"total_steps": 100}}
