"""What stays in force of a run's rules when its recipe is changed."""

from __future__ import annotations

from typing import Any

import pytest

from jepa_core.metrics import ENGINE_METRICS
from jepa_core.rollback.fitting_rules import FittingRules, fitting_rules
from jepa_core.watch.rules import JUDGED


def fitting(**watch: Any) -> FittingRules:
    """Of a watch table, for a recipe that reports the engine's metrics alone."""
    return fitting_rules(watch, ENGINE_METRICS, (), lambda _: True)


@pytest.mark.parametrize(
    ("judge", "kept", "gone"),
    [
        (["mine.spread", "vq.usage"], ["vq.usage"], ["mine.spread"]),
        (["mine.spread", "mine.waste"], list(JUDGED), ["mine.spread", "mine.waste"]),
        (["vq.usage"], ["vq.usage"], []),
        (list(JUDGED), list(JUDGED), []),
    ],
)
def test_what_a_changed_recipe_does_not_report_is_no_longer_judged_and_that_is_said(
    judge: list[str], kept: list[str], gone: list[str]
) -> None:
    found = fitting(judge=judge)
    assert found.watch["judge"] == kept
    told = tuple(f"the run is no longer judged by {name}: the changed recipe does not report it" for name in gone)
    assert found.left_out == told


def test_a_run_of_an_earlier_version_gets_no_list() -> None:
    assert "judge" not in fitting().watch
