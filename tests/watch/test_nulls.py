"""Nulls as a run records them: there and back, damaged, and of earlier versions."""

from __future__ import annotations

import pytest

from jepa_core.recorded_numbers import decode_row
from jepa_core.watch.language import parse_rule
from jepa_core.watch.nulls import NullFigures, RankedNulls, title_of

RANKED = RankedNulls(
    figures=(
        NullFigures(
            name="pair_analogy", mrr=0.9, top1=0.8, hard_mrr=0.5, weights={"cells": 1.0, "size": 0.1}, room=0.05
        ),
        NullFigures(name="untrained", mrr=0.4, top1=0.2),
    ),
    strongest_hard="pair_analogy",
    disabled=("equal_cells",),
    failed={"mine": "ValueError: boo"},
)


def test_they_survive_environment_json() -> None:
    assert RankedNulls.from_environment(RANKED.to_environment()) == RANKED
    assert RANKED.to_environment()["strongest"] == "pair_analogy"
    assert RankedNulls.from_environment({}) is None


def test_entries_that_cannot_be_read_are_left_out() -> None:
    recorded = {
        "nulls": {"a": {"mrr": 0.5, "top1": 0.4}, "b": {"mrr": "high"}, "c": 3},
        "nulls_disabled": 7,
        "nulls_failed": [],
    }
    found = RankedNulls.from_environment(recorded)
    assert found == RankedNulls(figures=(NullFigures(name="a", mrr=0.5, top1=0.4),))


def test_the_first_row_has_all_of_them() -> None:
    assert RANKED.first_row() == {
        "val.retrieval.null.pair_analogy.mrr": 0.9,
        "val.retrieval.null.pair_analogy.top1": 0.8,
        "val.hard.null.pair_analogy.mrr": 0.5,
        "val.retrieval.null.untrained.mrr": 0.4,
        "val.retrieval.null.untrained.top1": 0.2,
    }


@pytest.mark.parametrize("name", ["mrr", "top1"])
def test_the_old_names_are_read_as_equal_cells_in_rows_and_rules(name: str) -> None:
    old, new = f"val.retrieval.baseline_{name}", f"val.retrieval.null.equal_cells.{name}"
    assert decode_row({old: 0.3}) == {new: 0.3}
    rule = parse_rule(f"val.retrieval.{name} > {old} and val.retrieval.{name} > baseline.{old}")
    assert rule.names == {f"val.retrieval.{name}", new}
    assert rule.baseline_names == {new}


def test_a_row_of_an_earlier_version_has_one_null() -> None:
    row = decode_row({"val.retrieval.baseline_mrr": 0.3, "val.retrieval.baseline_top1": 0.2})
    assert RankedNulls.from_first_row(row).strongest == NullFigures(name="equal_cells", mrr=0.3, top1=0.2)
    assert RankedNulls.from_first_row({}).strongest is None


def test_a_name_is_shown_in_words() -> None:
    assert title_of("pair_analogy") == RANKED.figures[0].title == "pair analogy"
