from __future__ import annotations

import io
from typing import Any

import attrs
import pytest
from rich.console import Console

from jepa_core.comparison.comparing import Comparison, compare_runs
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.metrics import Metric
from jepa_core.presentation.comparison_table import comparison_table
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def shown(num_seeds: int) -> str:
    """The table of two recipes, the second better under every seed."""
    runs = [
        recorded(f"{name}{seed}", {MRR: {1: 0.1 * seed + gain}}, seed=seed, aggregator={"kind": name})
        for name, gain in (("mean", 0.0), ("attention", 0.01))
        for seed in range(num_seeds)
    ]
    console = Console(file=io.StringIO(), width=200)
    console.print(comparison_table(compare_runs(runs)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_seeds_are_too_few_the_command_that_trains_more_is_named() -> None:
    assert "more seeds: jepa ablate RECIPE --vary KEY=VALUE,VALUE --seeds 6" in shown(2)
    assert "more seeds" not in shown(6)


def text_of(comparison: Comparison, *, rules: bool = False) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(comparison_table(comparison, rules=rules))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def table_of(*runs: RecordedRun) -> str:
    return text_of(compare_runs(runs))


def validated(name: str, mrr: float, *, candidates: float = 400.0, data: str = "d") -> RecordedRun:
    series = {MRR: {1: mrr}, "val.retrieval.candidates": {1: candidates}}
    nulls = RankedNulls(figures=(NullFigures(name="pair_analogy", mrr=0.346, top1=0.2),))
    return attrs.evolve(recorded(name, series, data=data), nulls=nulls)


def test_each_run_stands_beside_its_strongest_null() -> None:
    lines = [" ".join(line.split()) for line in table_of(validated("a", 0.3), validated("b", 0.4)).splitlines()]
    assert "strongest null pair analogy 0.346 pair analogy 0.346" in lines
    assert "candidates 400 400" in lines


def test_a_share_has_an_interval_within_what_it_can_be_and_differs_in_points() -> None:
    top1 = Metric("val.retrieval.top1", "", "higher", "%", maximum=1, minimum=0)
    runs = [
        attrs.evolve(
            recorded(f"{kind}{seed}", {top1.name: {1: value}}, seed=seed, aggregator={"kind": kind}),
            declared={top1.name: top1},
        )
        for kind, values in (("mean", (0.1, 0.9)), ("attention", (0.2, 0.96)))
        for seed, value in enumerate(values)
    ]
    shown = text_of(compare_runs(runs, [top1.name]))
    assert "50.0 % [0.0 %, 100.0 %]" in shown
    assert "+8.00 points [−17.4 points, 33.4 points]" in shown


def test_runs_that_end_at_different_steps_are_told_of() -> None:
    runs = (recorded("a", {MRR: {16: 0.1}}), recorded("b", {MRR: {16: 0.2, 1048: 0.3}}, aggregator={"kind": "mean"}))
    assert "these runs end between step 16 and step 1,048: final figures and tests are of where" in table_of(*runs)
    assert "these runs end" not in table_of(runs[0], attrs.evolve(runs[0], name="c", path="runs/c"))


@pytest.mark.parametrize("other", [{"data": "e"}, {"candidates": 399.0}])
def test_on_other_data_or_candidates_no_change_is_shown_and_it_is_said(other: dict[str, Any]) -> None:
    same = table_of(validated("a", 0.3), validated("b", 0.4))
    assert "same data" in same
    assert "+33 %" in same
    differing = table_of(validated("a", 0.3), validated("b", 0.4, **other))
    assert differing.startswith("OTHER DATA: these runs were not judged on the same data, split and candidates.")
    for words in ("+33 %", "parts from", "at equal steps", "is the difference real"):
        assert words not in differing
    assert "strongest null" in differing


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_word_of_a_comparison_is_broken(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(comparison_table(compare_runs([validated("a", 0.3), validated("b", 0.4, data="e")])))
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().split()
    assert {"candidates.", "candidates", "strongest", "analogy", "0.346", "difference,"} <= set(words)


@pytest.mark.parametrize(("num_musts", "words"), [(1, "1 difference"), (3, "3 differences")])
def test_rules_that_differ_are_counted_and_shown_when_asked_for(num_musts: int, words: str) -> None:
    musts = [{"id": f"m{number}", "when": "lr > 1"} for number in range(num_musts)]
    runs = [recorded(name, {MRR: {1: 0.1}}, aggregator={"kind": name}) for name in ("mean", "attention")]
    runs[1] = attrs.evolve(runs[1], recipe={**runs[1].recipe, "watch": {"must": musts}})
    folded, whole = (text_of(compare_runs(runs), rules=rules) for rules in (False, True))
    assert f"watch {words}: --rules shows them" in " ".join(folded.split())
    assert "aggregator.kind" in folded
    assert "watch.must" not in folded
    assert whole.count("watch.must[m") == num_musts
    assert "--rules" not in whole
