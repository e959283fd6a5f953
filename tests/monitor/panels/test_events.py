"""Which events are listed, and all that they say."""

from __future__ import annotations

import attrs
import pytest

from jepa_core.run_directory.events import Event
from jepa_monitor.charts.look import Look
from jepa_monitor.panels.events import events_content
from jepa_monitor.sieves import SIEVES, Sieve, sifted
from tests.monitor.panels.views import a_view, text_of

CHECKPOINTS = tuple(
    Event(
        sequence=step, time=step, step=step, name="checkpoint", severity="info", message=f"Checkpoint at step {step}."
    )
    for step in (1, 2, 4)
)
WARNING = Event(
    sequence=3,
    time=3,
    step=3,
    name="rollback B",
    severity="warning",
    message="relational loss near zero " * 6,
    advice="Raise the weights back.",
    evidence={"first_sign": 2.0},
)
EVENTS = (*CHECKPOINTS[:2], WARNING, CHECKPOINTS[2])


@pytest.mark.parametrize(
    ("sieve", "sequences"),
    [("without older checkpoints", [3, 4]), ("everything", [1, 2, 3, 4]), ("warnings", [3]), ("critical", [])],
)
def test_events_are_sifted_by_severity_and_checkpoints_do_not_drown_them(sieve: Sieve, sequences: list[int]) -> None:
    assert [event.sequence for event in sifted(EVENTS, sieve)] == sequences
    assert sieve in SIEVES


def test_an_event_is_cut_in_its_line_and_opens_whole() -> None:
    view = attrs.evolve(a_view(), events=EVENTS)
    assert "Raise the weights back." not in text_of(events_content(view, 80, Look()))
    whole = " ".join(text_of(events_content(view, 80, Look(), is_whole=True)).split())
    assert " ".join(WARNING.message.split()) in whole
    assert "Raise the weights back. first_sign 2" in whole
