from __future__ import annotations

from pathlib import Path

from jepa_core.run_directory.events import Event
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Firing
from jepa_monitor.model.told_firings import ToldFirings, firing_of_event
from tests.run_directory.runs import record_run


def firing(name: str, step: float = 7.0) -> Firing:
    return Firing(
        name=name,
        kind="rollback",
        severity="warning",
        message="collapse: vq.usage < 0.05",
        step=step,
        epoch=1.5,
        evidence={"when": "vq.usage < 0.05", "rows": [{"step": 7.0, "vq.usage": 0.01}]},
        advice="Refresh less.",
        set={"quantizer": {"codes": 64}},
        use="gentle",
        first_sign=5.0,
    )


def test_what_the_trainer_told_of_a_firing_is_that_firing(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        run.firing(firing("A"))
    (event,) = RunReader(path).last_events(1)
    assert firing_of_event(event) == firing("A")


def test_other_events_tell_of_no_firing() -> None:
    for name in ("checkpoint", "aborted", "rollbacks", "started", ""):
        assert firing_of_event(Event(sequence=1, time=0.0, name=name)) is None


def test_what_was_judged_stands_before_what_was_told_in_the_order_of_steps(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        for name, step in (("A", 9.0), ("B", 3.0)):
            run.firing(firing(name, step))
    told = ToldFirings()
    told.take(RunReader(path).events())
    judged = (firing("A", 8.0), firing("C", 5.0))
    assert [(f.name, f.step) for f in told.beside(judged)] == [("B", 3.0), ("C", 5.0), ("A", 8.0)]
