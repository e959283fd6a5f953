"""The list of runs: a mark for every state, and figures where there are any."""

from __future__ import annotations

from typing import Any, get_args

import attrs
import pytest

from jepa_core.presentation.runs_table import STATE_MARKS, runs_table, state_text
from jepa_core.presentation.terminal import plain_text
from jepa_core.run_directory.status import ShownState
from jepa_core.run_directory.summary import RunSummary
from tests.presentation.consoles import words_of

RUN = RunSummary(
    name="mine-1",
    path="runs/mine-1",
    state="finished",
    epoch=12.5,
    total_epochs=30.0,
    best_mrr=0.4125,
    null_mrr=0.346,
    null="pair_analogy",
    outcome="success",
    baseline="gentle_vq",
    exit_code=0,
)


def line(width: int = 120, **changes: Any) -> str:
    _, shown = words_of(runs_table([attrs.evolve(RUN, **changes)], width), width=width)
    return shown


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "mine-1 ✔ finished 12.5/30 0.412 0.346 pair analogy success against gentle_vq"),
        ({"baseline": "", "outcome": "no baseline"}, "mine-1 ✔ finished 12.5/30 0.412 0.346 pair analogy no baseline"),
        ({"total_epochs": None}, "mine-1 ✔ finished 12.5 0.412 0.346 pair analogy success against gentle_vq"),
        (
            {"state": "rolled_back", "best_mrr": None, "null_mrr": None, "null": "", "outcome": "", "baseline": ""},
            "mine-1 ◌ rolled back 12.5/30",
        ),
        (
            {"state": "starting", "epoch": None, "best_mrr": None, "null_mrr": None, "null": "", "baseline": ""},
            "mine-1 ○ starting success",
        ),
        ({"epoch": 0.0, "best_mrr": 0.0}, "mine-1 ✔ finished 0/30 0.000 0.346 pair analogy success against gentle_vq"),
    ],
)
def test_a_run_is_one_line_with_what_is_known_of_it(changes: dict[str, Any], text: str) -> None:
    assert line(**changes) == text


def test_names_of_nulls_make_room_where_the_screen_is_narrow() -> None:
    assert "pair analogy" in line(110)
    assert "pair analogy" not in line(109)
    assert "0.346" in line(109)


def test_every_state_has_a_mark_that_ascii_keeps_and_words_without_underscores() -> None:
    assert set(STATE_MARKS) == set(get_args(ShownState))
    for state, (mark, _) in STATE_MARKS.items():
        assert (plain_text(mark) == "?") is (mark == "?"), state
        assert state_text(state).plain == f"{mark} {state.replace('_', ' ')}"


def test_no_runs_are_a_heading_alone() -> None:
    assert words_of(runs_table([], 80)) == ["run state epoch best val MRR null verdict"]
