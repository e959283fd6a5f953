"""What is said where a run has no figures yet: what goes on, and what brings the first."""

from __future__ import annotations

import time
from pathlib import Path

import attrs
import pytest

from jepa_monitor.board.no_charts import no_charts_content
from jepa_monitor.charts.look import Look
from jepa_monitor.model.awaited import every, no_diagnosis, nothing_yet, sentence
from jepa_monitor.panels.console import console_content
from jepa_monitor.panels.events import events_content
from jepa_monitor.panels.losses import losses_content
from jepa_monitor.panels.retrieval import retrieval_content
from jepa_monitor.panels.spectrum import spectrum_content
from tests.monitor.recorded import rows
from tests.monitor.views import view_of

LOOK = Look()


def test_before_the_first_step_every_empty_part_of_the_screen_says_what_is_awaited(tmp_path: Path) -> None:
    recorded = view_of(tmp_path / "new", recorded=[], state="starting", heartbeat=time.time())
    view = attrs.evolve(recorded, events=(), console=(), diagnosis={}, recipe={})
    shown = [
        console_content(view, 200, LOOK), events_content(view, 200, LOOK), losses_content(view, 200, LOOK),
        retrieval_content(view, 200, LOOK), spectrum_content(view, 200, 20, LOOK),
        no_charts_content([view], "", 200, LOOK, now=0.0),
    ]  # fmt: skip
    for content in shown:
        text = " ".join(each.text for each in content.lines)
        assert "the run is starting, its data is read; then the model is built" in text
        assert "Then comes the first step." in text
    reading = attrs.evolve(view, recipe={"diagnostics": {"every_steps": 50}})
    assert "the run is starting, the model is built, nulls are ranked" in nothing_yet("event", reading)


@pytest.mark.parametrize(
    ("recorded", "key", "unit", "said"),
    [
        (50, "every_steps", "step", "one comes every 50 steps"),
        (1.0, "validate_every_epochs", "epoch", "one comes every epoch"),
        (0.25, "validate_every_epochs", "epoch", "one comes every 0.25 epochs"),
        ("odd", "every_steps", "step", "the recipe's diagnostics.every_steps says when one comes"),
    ],
)
def test_when_one_comes_is_as_the_recipe_has_it(
    tmp_path: Path, recorded: object, key: str, unit: str, said: str
) -> None:
    view = attrs.evolve(
        view_of(tmp_path / "mine", state="running", heartbeat=time.time()), recipe={"diagnostics": {key: recorded}}
    )
    assert every(view, key, unit) == said


def test_a_run_that_has_ended_awaits_nothing(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine", recorded=rows(3), state="finished")
    assert no_diagnosis(view) == "no diagnosis"
    assert sentence(no_diagnosis(view)) == "No diagnosis."
