"""What `jepa ablate` prints while it goes: what is planned, a line for each run that ended, and the time left."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from jepa_core.ablation.folder import AblationFolder, FoundRun, RunState
from jepa_core.ablation.plan import Outcome
from jepa_core.ablation.scheduling import Job
from jepa_core.presentation.ablation_screen import AblationScreen, dry_run_lines, planned_line
from tests.ablation.results import MRR, a_plan

PLAN = a_plan({"aggregator.kind": ("mean", "attention")}, 2)


def states(*states: RunState) -> list[FoundRun]:
    return [FoundRun(planned=planned, state=state) for planned, state in zip(PLAN.runs, states, strict=True)]


class Shown:
    """A screen that is no terminal, with what it printed."""

    def __init__(self, folder: Path, *, num_places: int = 1, terminal: bool = False) -> None:
        self._out = io.StringIO()
        console = Console(file=self._out, width=100, force_terminal=terminal, markup=False, highlight=False)
        self.screen = AblationScreen(console, AblationFolder(folder, PLAN, {}), MRR, num_places=num_places)

    @property
    def lines(self) -> list[str]:
        return [" ".join(line.split()) for line in self._out.getvalue().splitlines()]


def finished(folder: Path, index: int, mrr: object) -> FoundRun:
    """A run that has recorded one figure."""
    planned = PLAN.runs[index]
    run = folder / f"{planned.name}-20261128-120000"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, MRR.name: mrr}) + "\n")
    return FoundRun(planned=planned, state="finished", path=run)


@pytest.mark.parametrize(
    ("mrr", "exit_code", "text"),
    [
        (0.4125, 0, "val.retrieval.mrr 0.412"),
        (0.4125, 4, "val.retrieval.mrr 0.412 (a must failed)"),
        ("nan", 0, "val.retrieval.mrr nan"),
        (None, 0, "val.retrieval.mrr none"),
    ],
)
def test_a_finished_run_is_told_with_its_figure(tmp_path: Path, mrr: object, exit_code: int, text: str) -> None:
    shown = Shown(tmp_path)
    with shown.screen as screen:
        screen.ended(finished(tmp_path, 1, mrr), Outcome(exit_code=exit_code, seconds=75.0), 0)
    assert shown.lines == [f"✔ 4/4 attention seed 0 {text} 1 min 15 s"]


@pytest.mark.parametrize(
    ("state", "why", "message", "text"),
    [
        ("aborted", "collapse fired", "", "✘ 1/4 mean seed 0 aborted: collapse fired 9.0 s"),
        ("failed", "", "out of memory\x1b[2J", "✘ 1/4 mean seed 0 failed: out of memory␛[2J 9.0 s"),
        ("interrupted", "", "", "◌ 1/4 mean seed 0 interrupted 9.0 s"),
        ("waiting", "", "", "◌ 1/4 mean seed 0 waiting 9.0 s"),
    ],
)
def test_a_run_that_did_not_finish_is_told_with_why(
    tmp_path: Path, state: RunState, why: str, message: str, text: str
) -> None:
    shown = Shown(tmp_path)
    run = FoundRun(planned=PLAN.runs[0], state=state, why=why)
    shown.screen.ended(run, Outcome(exit_code=1, message=message, seconds=9.0), 3)
    assert shown.lines == [text]


@pytest.mark.parametrize(
    ("seconds", "places", "text"),
    [(20.0, 1, "about 60 s left"), (20.0, 2, "about 40 s left"), (100.0, 1, "about 5 min left"), (3600.0, 1, "3.0 h")],
)
def test_the_time_left_is_that_of_the_rounds_that_are_left(
    tmp_path: Path, seconds: float, places: int, text: str
) -> None:
    shown = Shown(tmp_path, num_places=places)
    shown.screen.ended(finished(tmp_path, 0, 0.5), Outcome(exit_code=0, seconds=seconds), 3)
    assert text in shown.lines[0]


def test_runs_on_their_way_are_shown_on_a_terminal_alone(tmp_path: Path) -> None:
    for terminal in (True, False):
        shown = Shown(tmp_path, terminal=terminal)
        with shown.screen as screen:
            screen.running(PLAN.runs[:2], 2)
        assert any("2 running · 2 waiting" in line for line in shown.lines) is terminal


def test_what_is_planned_is_counted_with_what_is_there_already(tmp_path: Path) -> None:
    runs = states("finished", "interrupted", "waiting", "waiting")
    resumed, *fresh = PLAN.runs[1:]
    jobs = [Job(planned=resumed, resume=tmp_path), *(Job(planned=run, resume=None) for run in fresh)]
    line = planned_line(AblationFolder(Path("runs/x"), PLAN, {}), runs, jobs, 2).plain
    assert line == (
        "mine · 2 aggregator.kind × 2 seeds = 4 runs: "
        "3 to run, 2 at a time, 1 of them from a checkpoint, 1 there already · runs/x"
    )
    dry = [" ".join(shown.plain.split()) for shown in dry_run_lines(AblationFolder(tmp_path, PLAN, {}), runs, jobs)]
    assert dry == [
        "c1-mean-s0 mean seed 0 is finished",
        "c2-attention-s0 attention seed 0 goes on from its checkpoint",
        "c1-mean-s1 mean seed 1 is trained",
        "c2-attention-s1 attention seed 1 is trained",
        "Nothing was run.",
    ]
