"""A comparison for scripts: strict JSON with every curve, in the order of the runs."""

from __future__ import annotations

import json
import math
from typing import Any

from jepa_core.comparison.as_json import comparison_to_json
from jepa_core.comparison.comparing import compare_runs
from jepa_core.comparison.recorded_run import RecordedRun
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"


def told(*runs: RecordedRun) -> dict[str, Any]:
    """After a way through text that takes no NaN."""
    told: dict[str, Any] = json.loads(json.dumps(comparison_to_json(compare_runs(runs)), allow_nan=False))
    return told


def test_figures_that_are_not_finite_are_text() -> None:
    data = told(recorded("a", {MRR: {1: math.nan, 2: 0.5}}), recorded("b", {MRR: {1: 0.5, 2: -math.inf}}, x=1))
    assert data["at_equal_steps"] == [{"metric": MRR, "steps": [1, 2], "values": [["nan", 0.5], [0.5, "-inf"]]}]
    assert data["runs"][1]["final"] == {MRR: "-inf"}
    (test,) = data["tests"]
    assert (test["answer"], test["p"]) == ("cannot be told", None)
    assert data["parting"][0]["metrics"] == [{"name": MRR, "left": "nan", "right": 0.5}]


def test_groups_have_their_seeds_and_tests_the_difference_of_each() -> None:
    gains = (0.125, 0.25)
    base = [recorded(f"a{seed}", {MRR: {1: 0.25}}, seed=seed) for seed in range(2)]
    other = [recorded(f"b{seed}", {MRR: {1: 0.25 + gain}}, seed=seed, x=1) for seed, gain in enumerate(gains)]
    data = told(*base, *other)
    assert [(group["runs"], group["seeds"]) for group in data["groups"]] == [
        (["a0", "a1"], [0, 1]),
        (["b0", "b1"], [0, 1]),
    ]
    assert [group["figures"][MRR]["mean"] for group in data["groups"]] == [0.25, 0.4375]
    (test,) = data["tests"]
    assert (test["seeds"], test["differences"]) == ([0, 1], list(gains))
    assert data["recipe_difference"] == [
        {"key": "train.seed", "values": [0, 1, 0, 1]},
        {"key": "x", "values": [None, None, 1, 1]},
    ]


def test_runs_without_figures_are_told_with_a_note_and_no_metric() -> None:
    data = told(recorded("a"), recorded("b", x=1))
    assert (data["metrics"], data["tests"], data["runs"][0]["step"]) == ([], [], None)
    assert data["notes"] == ["a has recorded no figure", "b has recorded no figure"]
