"""Which runs are one recipe under several seeds, and by what name a group goes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.seed_groups import group_by_recipe
from tests.comparison.recorded import recorded

MRR = "val.retrieval.mrr"
CANDIDATES = "val.retrieval.candidates"


def labels(*runs: RecordedRun) -> list[str]:
    return [group.label for group in group_by_recipe(runs).groups]


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("de"), st.integers(0, 3)), min_size=1, max_size=12))
def test_every_run_is_in_one_group_or_among_the_repeats_and_seeds_within_a_group_differ(
    drawn: list[tuple[str, str, int]],
) -> None:
    runs = [
        recorded(f"r{index}", seed=seed, data=data, aggregator={"kind": kind})
        for index, (kind, data, seed) in enumerate(drawn)
    ]
    found = group_by_recipe(runs)
    grouped = [run.name for group in found.groups for run in group.runs]
    assert sorted([*grouped, *found.repeats]) == sorted(run.name for run in runs)
    assert len(found.groups) == len({(kind, data) for kind, data, _ in drawn})
    for group in found.groups:
        assert len({run.seed for run in group.runs}) == len(group.runs)
        assert len({(run.recipe["aggregator"]["kind"], run.data) for run in group.runs}) == 1


def test_a_single_run_goes_by_its_name_and_a_group_by_its_recipes() -> None:
    assert labels(recorded("a", seed=1), recorded("b", seed=2), recorded("c", x=1)) == ["mine", "c"]


def test_groups_of_one_name_are_told_apart_by_two_keys_at_most() -> None:
    one = [recorded(f"a{seed}", seed=seed, aggregator={"kind": "mean"}) for seed in range(2)]
    tables: dict[str, Any] = {
        "aggregator": {"kind": "attention"},
        "optimizer": {"lr": 0.1},
        "predictor": {"kind": "mlp"},
    }
    other = [recorded(f"b{seed}", seed=seed, **tables) for seed in range(2)]
    assert labels(*one, *other) == [
        "mine (aggregator.kind=mean, optimizer.lr=–, …)",
        "mine (aggregator.kind=attention, optimizer.lr=0.1, …)",
    ]


def test_groups_of_equal_recipes_on_other_data_are_told_apart_by_a_run_of_theirs() -> None:
    runs = [recorded(f"{data}{seed}", seed=seed, data=data) for data in ("d", "e") for seed in range(2)]
    assert labels(*runs) == ["mine (d0)", "mine (e0)"]


def test_runs_whose_seed_or_recipe_is_not_known_are_never_left_out_as_repeats() -> None:
    seedless = [attrs.evolve(recorded(name), seed=None) for name in ("a", "b")]
    assert group_by_recipe(seedless).repeats == ()
    unreadable = [attrs.evolve(recorded(name), recipe={}) for name in ("c", "d")]
    assert [len(group.runs) for group in group_by_recipe(unreadable).groups] == [1, 1]


@pytest.mark.parametrize(("candidates", "count"), [((100.0, 100.0), 1), ((100.0, 99.0), 2)])
def test_seeds_that_were_ranked_among_other_candidates_are_not_averaged(
    candidates: tuple[float, ...], count: int
) -> None:
    runs = [recorded(f"r{seed}", {CANDIDATES: {1: size}}, seed=seed) for seed, size in enumerate(candidates)]
    assert len(group_by_recipe(runs).groups) == count


def test_the_figure_of_a_group_is_the_mean_of_last_values_of_the_runs_that_have_one() -> None:
    series: tuple[dict[str, dict[int, float]], ...] = ({MRR: {1: 9.0, 2: 0.2}}, {MRR: {1: 0.4}}, {})
    (group,) = group_by_recipe([recorded(f"r{seed}", one, seed=seed) for seed, one in enumerate(series)]).groups
    figure = group.figure(MRR)
    assert figure is not None
    assert figure.mean == pytest.approx(0.3)
    assert figure.count == 2
    assert group.by_seed(MRR) == {0: 0.2, 1: 0.4}
    assert group.figure("lr") is None
