"""The list of runs: a mark for every state, and figures where there are any."""

from __future__ import annotations

from typing import Any, get_args

import attrs
import pytest

from jepa_core.presentation.runs_table import STATE_MARKS, RunsTable, state_text
from jepa_core.presentation.terminal import UNBOUNDED, plain_text
from jepa_core.run_directory.status import ShownState
from jepa_core.run_directory.summary import RunSummary
from tests.presentation.consoles import printed, words_of

RUN = RunSummary(
    name="mine-20261122-214501",
    path="runs/mine-20261122-214501",
    state="finished",
    epoch=12.5,
    total_epochs=30.0,
    best_mrr=0.4125,
    null_mrr=0.346,
    null="pair_analogy",
    outcome="success",
    baseline="gentle_vq",
    exit_code=0,
    started=1_795_380_301.0,
    recipe="mine",
)
LONGER = attrs.evolve(
    RUN, name="optimized_with_a_long_name-20261123-000102", state="rolled_back", outcome="no baseline", tags=("big",)
)
WIDTHS = (60, 80, 120, 200, UNBOUNDED)


def line(width: int = UNBOUNDED, **changes: Any) -> str:
    _, shown = words_of(RunsTable([attrs.evolve(RUN, started=0.0, **changes)]), width=width)
    return shown.removeprefix("mine-20261122-214501 ")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "mine ✔ finished 12.5/30 0.412 0.346 pair analogy success against gentle_vq"),
        ({"baseline": "", "outcome": "no baseline"}, "mine ✔ finished 12.5/30 0.412 0.346 pair analogy no baseline"),
        ({"total_epochs": None}, "mine ✔ finished 12.5 0.412 0.346 pair analogy success against gentle_vq"),
        (
            {"state": "rolled_back", "best_mrr": None, "null_mrr": None, "null": "", "outcome": "", "baseline": ""},
            "mine ◌ rolled back 12.5/30",
        ),
        (
            {"state": "starting", "epoch": None, "best_mrr": None, "null_mrr": None, "null": "", "baseline": ""},
            "mine ○ starting success",
        ),
        (
            {"epoch": 0.0, "best_mrr": 0.0, "tags": ("big", "lr=1")},
            "mine ✔ finished 0/30 0.000 0.346 pair analogy success against gentle_vq big lr=1",
        ),
        ({"state": "running", "folded": 3, "baseline": ""}, "mine ● 3 runs 12.5/30 0.412 0.346 pair analogy success"),
    ],
)
def test_a_run_is_one_line_with_what_is_known_of_it(changes: dict[str, Any], text: str) -> None:
    assert line(**changes) == text


@pytest.mark.parametrize("width", WIDTHS)
def test_each_run_is_one_line_that_shows_which_it_is_its_state_and_verdict(width: int) -> None:
    heading, *lines = printed(RunsTable([RUN, LONGER]), width=width)
    assert len(lines) == 2
    assert max(map(len, (heading, *lines))) <= width
    for shown, run in zip(lines, (RUN, LONGER), strict=True):
        for part in (run.name[-15:], run.state.replace("_", " "), run.outcome, "0.412"):
            assert part in shown


def test_what_has_no_room_is_left_out_last_of_all_the_middle_of_a_name() -> None:
    headings = [" ".join(printed(RunsTable([RUN, LONGER]), width=width)[0].split()) for width in (*WIDTHS, 90, 100)]
    assert headings == [
        "run state best verdict",
        "run state epoch best verdict",
        "run started state epoch best null verdict tags",
        "run started recipe state epoch best val MRR null strongest null verdict tags",
        "run started recipe state epoch best val MRR null strongest null verdict tags",
        "run state epoch best null verdict",
        "run state epoch best null verdict tags",
    ]
    assert "optimize…-20261123-000102" in printed(RunsTable([LONGER]), width=60)[1]


def test_every_state_has_a_mark_that_ascii_keeps_and_words_without_underscores() -> None:
    assert set(STATE_MARKS) == set(get_args(ShownState))
    for state, (mark, _) in STATE_MARKS.items():
        assert (plain_text(mark) == "?") is (mark == "?"), state
        assert state_text(state).plain == f"{mark} {state.replace('_', ' ')}"


def test_no_runs_are_a_heading_alone() -> None:
    assert words_of(RunsTable([]), width=UNBOUNDED) == [
        "run started recipe state epoch best val MRR null strongest null verdict"
    ]


def test_figures_end_and_words_begin_where_their_headings_do() -> None:
    heading, *lines = printed(RunsTable([RUN, attrs.evolve(LONGER, best_mrr=0.5, epoch=3.0)]), width=UNBOUNDED)
    for figure, above in (("0.412", "best val MRR"), ("12.5/30", "epoch")):
        assert lines[0].index(figure) + len(figure) == heading.index(above) + len(above)
    for text, above in (("✔", "state"), ("◌", "state"), ("success", "verdict"), ("no baseline", "verdict")):
        assert heading.index(above) in [line.find(text) for line in lines]
    assert lines[0] == lines[0].rstrip()


def test_a_screen_that_is_too_narrow_for_the_least_folds_its_cells() -> None:
    lines = printed(RunsTable([LONGER]), width=30)
    assert max(map(len, lines)) <= 30
    assert len(lines) > 2
