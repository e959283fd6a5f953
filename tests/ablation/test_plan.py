from __future__ import annotations

import orjson
import pytest

from jepa_core.ablation.plan import Outcome, outcomes_from_json, plan_from_json, plan_to_json, with_seeds_of
from tests.ablation.results import a_plan

PLAN = a_plan({"aggregator.kind": ("mean", "attention")}, 2)
OUTCOME = Outcome(exit_code=1, message="no such file", seconds=2.5)


def test_a_plan_comes_back_from_its_file() -> None:
    content = orjson.loads(orjson.dumps(plan_to_json(PLAN, {"c1-mean-s1": OUTCOME}, {})))
    assert plan_from_json(content) == PLAN
    assert outcomes_from_json(content) == {"c1-mean-s1": OUTCOME}


def test_the_file_says_which_run_belongs_to_which_cell_and_seed() -> None:
    cells = plan_to_json(PLAN, {}, {"c2-attention-s1": "c2-attention-s1-20260101-000000"})["cells"]
    assert [cell["values"] for cell in cells] == [["mean"], ["attention"]]
    assert [run["run"] for run in cells[1]["runs"]] == [None, "c2-attention-s1-20260101-000000"]


def test_every_cell_has_its_run_under_a_seed_before_the_next_seed() -> None:
    assert [run.name for run in PLAN.runs] == ["c1-mean-s0", "c2-attention-s0", "c1-mean-s1", "c2-attention-s1"]


def test_seeds_once_planned_stay() -> None:
    fewer = a_plan({"aggregator.kind": ("mean", "attention")}, 1)
    assert with_seeds_of(fewer, PLAN) == PLAN


@pytest.mark.parametrize("recorded", [{}, {"name": 3}, {**plan_to_json(PLAN, {}, {}), "seeds": "many"}])
def test_what_is_no_plan_is_refused(recorded: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not the plan of an ablation"):
        plan_from_json(recorded)


@pytest.mark.parametrize("cells", [None, 3, ["x"], [{"runs": 1}], [{"runs": [{"name": "a", "outcome": {}}]}]])
def test_damaged_outcomes_are_left_out(cells: object) -> None:
    assert outcomes_from_json({"cells": cells}) == {}
