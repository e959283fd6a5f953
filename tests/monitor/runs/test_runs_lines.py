from __future__ import annotations

import pytest

from jepa_core.run_directory.summary import RunSummary
from jepa_monitor.display import filter_pattern
from jepa_monitor.runs.runs_lines import matching_runs, runs_lines

NOON = 1_795_953_600.0
"""Of the 29th of November 2026, in Greenwich."""
NAMES = ("tiny-20261123-064240", "tiny-20261123-064153")


def summary(name: str) -> RunSummary:
    return RunSummary(
        path=f"/runs/{name}", name=name, state="rolled_back", epoch=302.5, total_epochs=4000.0,
        best_mrr=0.345, null_mrr=0.302, null="pair_analogy", outcome="regression", baseline="gentle_vq", exit_code=2,
        started=NOON, recipe="a recipe", tags=("big", "lr=0.1"),
    )  # fmt: skip


def rows(width: int) -> list[str]:
    lines = runs_lines([summary(name) for name in NAMES], [], f"/runs/{NAMES[0]}", width)
    assert {line.width for line in lines} == {width}
    return [line.text for line in lines]


def test_at_80_columns_runs_can_be_told_apart_and_their_verdicts_read() -> None:
    heading, first, second = rows(76)
    assert "null" not in heading.split()
    assert [name in row for name, row in zip(NAMES, (first, second), strict=True)] == [True, True]
    assert "regression" in first


def test_where_there_is_room_no_column_is_left_out() -> None:
    heading, first, _ = rows(170)
    assert heading.split() == [
        "run", "↓started", "state", "epoch", "best", "gain", "null", "strongest", "null", "verdict", "tags",
    ]  # fmt: skip
    told = ["2026-11-29", "12:00", "◌", "rolled", "back", "302.5/4,000", "0.345", "+0.043", "0.302", "pair", "analogy"]
    assert first.split() == [NAMES[0], *told, "regression", "against", "gentle_vq", "big", "lr=0.1"]


def test_of_a_name_that_is_too_long_the_end_stays() -> None:
    lines = runs_lines([summary("a_recipe_with_a_long_name-20261123-064240")], [], "", 60)
    assert "-20261123-064240" in lines[1].text


def test_on_the_narrowest_screens_the_name_stays() -> None:
    assert all(name[-15:] in row for name, row in zip(NAMES, rows(50)[1:], strict=True))


@pytest.mark.parametrize("pattern", ["0642", "^tiny", "ROLLED BACK", "regress", "^lr=0.1$", "a recipe"])
def test_runs_are_found_by_name_recipe_state_verdict_and_tags(pattern: str) -> None:
    run = summary(NAMES[0])
    assert matching_runs([run], filter_pattern(pattern)) == (run,)
    assert matching_runs([run], filter_pattern(f"{pattern}x")) == ()


@pytest.mark.parametrize("width", range(12, 60, 3))
def test_however_narrow_it_is_two_runs_of_one_recipe_do_not_look_alike(width: int) -> None:
    names = ("quickstart-20261130-043509", "quickstart-20261130-044618")
    _, *shown = runs_lines([summary(name) for name in names], [], "", width)
    assert len({line.text for line in shown}) == 2
