"""The tables of docs/outcomes.md equal the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

from jepa_core.engine.interruption import STOPS
from jepa_core.errors import JepaError, RecipeError
from jepa_core.presentation.finding_text import SEVERITY_MARKS
from jepa_core.presentation.rules_table import AT_RISK_MARK
from jepa_core.presentation.verdict_table import MARKS
from jepa_core.watch.expressions import FUNCTIONS
from jepa_core.watch.rules import EarlyStop, Watch
from jepa_core.watch.verdict import EXIT_FINISHED, EXIT_MUST_FAILED, EXIT_STOPPED, Outcome
from jepa_monitor.board.rules_bar import PROSPECT_MARKS

DOC = (Path(__file__).parents[2] / "docs" / "outcomes.md").read_text()
PROSPECTS = {"holding": "passing", "failed": "failed", "clear": "passing", "fired": "fired", "pending": "pending"}


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its own head."""
    section = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


OUTCOMES = table("Outcomes and exit codes")


def test_every_outcome_has_a_row() -> None:
    assert {row[0] for row in OUTCOMES} == {*get_args(Outcome), "–"}


def test_a_rollback_is_next_after_no_success() -> None:
    assert {row[0]: "rollback" in row[3] for row in OUTCOMES}["success"] is False


def test_exit_codes_of_outcomes_are_those_that_a_verdict_can_have() -> None:
    told = {row[0]: set(map(int, row[1].split(", "))) for row in OUTCOMES if row[0] != "–"}
    assert told == {
        "success": {EXIT_FINISHED},
        "neutral": {EXIT_FINISHED, EXIT_MUST_FAILED},
        "regression": {EXIT_FINISHED, EXIT_STOPPED, EXIT_MUST_FAILED},
        "no effect": {EXIT_FINISHED, EXIT_MUST_FAILED},
        "no baseline": {EXIT_FINISHED, EXIT_STOPPED, EXIT_MUST_FAILED},
    }


def test_exit_codes_without_a_verdict_are_those_of_errors_and_signals() -> None:
    told = {code for row in OUTCOMES if row[0] == "–" for code in map(int, row[1].split(", "))}
    signals = {128 + stop for stop in STOPS}
    assert told == {JepaError.exit_code, RecipeError.exit_code, *signals}
    listed = {int(code) for code in re.findall(r"\*\*(\d+)\*\*", DOC)}
    assert listed == {code for row in OUTCOMES for code in map(int, row[1].split(", "))}


def test_marks_of_rules_are_those_that_check_verdict_and_monitor_show() -> None:
    rows = table("Marks of rules")
    assert {row[0]: row[2] for row in rows} == {state: mark for state, (mark, _) in MARKS.items()}
    assert {row[0]: row[3] for row in rows} == {
        state: PROSPECT_MARKS[prospect][0]  # type: ignore[index]  # the five that stand in the table
        for state, prospect in PROSPECTS.items()
    }
    assert AT_RISK_MARK[0] == PROSPECT_MARKS["at risk"][0]
    assert f"has {AT_RISK_MARK[0]}." in DOC


def test_marks_of_findings_are_those_of_the_code() -> None:
    assert {row[0]: row[1] for row in table("Marks of findings")} == {
        severity: mark for severity, (mark, _) in SEVERITY_MARKS.items()
    }


def test_every_function_of_the_rule_language_is_explained_as_it_is_written() -> None:
    assert [row[0].strip("`") for row in table("Rules")] == list(FUNCTIONS)
    assert re.search(r"`epochs` is how many the whole run has", DOC)


def test_what_is_judged_and_stopped_on_by_default_is_that_of_the_code() -> None:
    block = DOC.split("\n## What is judged\n")[1].split("```toml\n")[1].split("```")[0]
    watch = tomllib.loads(block)["watch"]
    assert tuple(watch["judge"]) == Watch().judge
    assert watch["early_stop"]["metric"] == EarlyStop(patience=1).metric
