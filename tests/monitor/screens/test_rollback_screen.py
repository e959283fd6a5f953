from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from textual.pilot import Pilot

from jepa_core.errors import JepaError
from jepa_core.registry import installed
from jepa_core.rollback.plan import RollbackPlan
from jepa_core.rollback.planning import plan_rollback
from jepa_core.rollback.requests import RequestAnswer, RollbackRequest, close_request, pending_requests
from jepa_core.run_directory.status import Status
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.screens.rollback_content import rollback_content
from jepa_monitor.screens.rollback_screen import RollbackScreen
from jepa_monitor.screens.rollback_state import (
    CONFIRMING_WORD,
    NOTHING_ASKED,
    RollbackState,
    fired_scenarios,
    look,
    planned_by_command,
)
from tests.monitor.panels.views import FIRING_B, a_view, text_of
from tests.monitor.screens.stage import Stage, run_with_firing, until, words_on

Play = Callable[[Stage, RollbackScreen, Pilot[None]], Awaitable[None]]


def planned_here(run: Path, scenario: str) -> RollbackPlan:
    """What the command would answer, without a process of its own."""
    return plan_rollback(run, installed(), scenario=scenario).plan


def on_stage(view: RunView, play: Play, size: tuple[int, int] = (100, 36), **options: Any) -> None:
    async def act() -> None:
        screen = RollbackScreen(view, Look(), planner=planned_here, **options)
        stage = Stage(screen)
        async with stage.run_test(size=size) as pilot:
            await until(pilot, lambda: screen.state.stage != "looking" or not screen.state.fired)
            await pilot.pause()
            await play(stage, screen, pilot)

    asyncio.run(act())


def test_what_fired_its_evidence_the_change_the_checkpoint_and_the_command_are_shown(tmp_path: Path) -> None:
    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        text = words_on(screen)
        for words in (
            "▲ B relational loss near zero",
            "fired at step 640 · first sign at step 620",
            "Raise the weights back.",
            "620 6.20 0.020",
            "640 6.40 0.004",
            "losses.relational.weight 0.02 0.025",
            "goes on from checkpoint step 600",
            "enter go back …",
        ):
            assert words in text
        # A long path breaks anywhere.
        assert "mine-20261122-214501--scenarioB" in re.sub(r"[^\w/-]", "", text)

    on_stage(a_view(path=str(run_with_firing(tmp_path))), play)


def test_enter_asks_for_a_word_and_with_it_writes_the_request_into_the_run(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert "type rollback and press enter" in words_on(screen)
        await pilot.press(*CONFIRMING_WORD[:-1], "x", "backspace", "k")
        assert "enter go back" in words_on(screen)
        assert pending_requests(run) == ()
        await pilot.press("enter")
        await until(pilot, lambda: bool(screen.state.standing.waiting))
        assert "pending: scenario B" in words_on(screen)

    on_stage(a_view(path=str(run)), play)
    (pending,) = pending_requests(run)
    assert pending.request == RollbackRequest(scenario="B")
    assert pending.path.parent == run / "control"


@pytest.mark.parametrize(
    "keys",
    [
        ["enter"] * 6,
        ["enter", *"rollbac", "enter", "enter"],
        ["enter", *"qchl12/r", "enter", "enter"],
        ["enter", *"rrollback", "enter", "enter"],
        [*"rollback", "enter", "enter"],
    ],
    ids=["enter alone", "half of the word", "other keys", "one letter too many", "the word before it is asked for"],
)
def test_what_is_typed_by_accident_asks_nothing_of_the_run(tmp_path: Path, keys: list[str]) -> None:
    run = run_with_firing(tmp_path)

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await pilot.pause(0.05)
        assert stage.screen is screen
        assert screen.state.stage == "confirming"

    on_stage(a_view(path=str(run)), play)
    assert pending_requests(run) == ()


def test_escape_takes_the_question_back_and_then_leaves(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        await pilot.press("enter", *CONFIRMING_WORD, "escape")
        assert screen.state.stage == "ready"
        assert stage.screen is screen
        await pilot.press("escape")
        assert stage.screen is not screen

    on_stage(a_view(path=str(run)), play)
    assert pending_requests(run) == ()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RequestAnswer(accepted=True, message="goes on as child-1", child="child-1"), "✔ done: goes on as child-1"),
        (RequestAnswer(accepted=False, message="no checkpoint"), "✘ refused: no checkpoint"),
    ],
)
def test_the_trainers_answer_is_shown_when_it_comes(tmp_path: Path, answer: RequestAnswer, words: str) -> None:
    run = run_with_firing(tmp_path)

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        await pilot.press("enter", *CONFIRMING_WORD, "enter")
        await until(pilot, lambda: bool(screen.state.standing.waiting))
        close_request(screen.state.standing.waiting[0].path, answer)
        await until(pilot, lambda: bool(screen.state.standing.answers))
        text = words_on(screen)
        assert words in text
        assert "pending" not in text

    on_stage(a_view(path=str(run)), play)


def test_a_request_that_waits_already_is_shown_as_pending(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)
    (run / "control").mkdir()
    (run / "control" / "rollback-1.json").write_bytes(orjson.dumps({"scenario": "A", "to": 400}))
    (run / "control" / "rollback-2.json").write_bytes(b"[")

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        text = words_on(screen)
        assert "pending: scenario A, to step 400" in text
        assert "rollback-2.json: it cannot be read" in text

    on_stage(a_view(path=str(run)), play)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "finished"}, "The run is finished"),
        ({"state": "crashed"}, "The run is crashed"),
        ({"state": "stale"}, "no sign of life"),
        ({"replay_position": "×20"}, "This is a replay"),
    ],
)
def test_without_a_living_trainer_the_command_is_offered_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    run = run_with_firing(tmp_path)

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        text = words_on(screen)
        assert reason in text
        assert "c copies it." in text
        assert "enter go back …" not in text
        await pilot.press("enter", "enter", "c")
        assert stage.copied == [f"jepa rollback {run} --scenario B"]

    on_stage(a_view(path=str(run), **changes), play)
    assert pending_requests(run) == ()


def test_one_of_several_scenarios_is_chosen_and_planned_anew(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)
    abort = attrs.evolve(FIRING_B, name="collapse", kind="abort", severity="critical", message="all codes dead")

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        assert screen.state.plan is not None
        await pilot.press("right")
        await until(pilot, lambda: screen.state.stage == "ready")
        text = words_on(screen)
        assert "all codes dead" in text
        assert "'collapse' has not fired in mine-20261122-214501" in text
        await pilot.press("enter")
        assert screen.state.stage == "ready"
        await pilot.press("left")
        await until(pilot, lambda: screen.state.plan is not None)
        assert "relational loss near zero" in words_on(screen)

    on_stage(a_view(path=str(run), firings=(FIRING_B, abort)), play)


def test_a_newer_view_keeps_the_chosen_scenario_and_a_new_one_joins(tmp_path: Path) -> None:
    view = a_view(path=str(run_with_firing(tmp_path)))

    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        newer = attrs.evolve(view, firings=(FIRING_B, attrs.evolve(FIRING_B, name="A", step=700.0)))
        screen.show(newer, Look())
        assert [firing.name for firing in screen.state.fired] == ["A", "B"]
        assert screen.state.scenario is not None
        assert screen.state.scenario.name == "B"
        assert screen.state.plan is not None

    on_stage(view, play)


def test_without_a_checkpoint_it_begins_anew_and_says_so(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path, checkpoint_step=None)
    state = looked_up(run)
    text = text_of(rollback_content(a_view(path=str(run)), state, 100, Look()))
    assert "goes on from the start" in text
    assert "no checkpoint before the first sign can be used" in text


def test_a_run_in_which_nothing_fired_says_so() -> None:
    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        assert "Nothing to roll back for: no rule has fired that names a remedy." in words_on(screen)
        await pilot.press("enter", "right", "c")

    on_stage(a_view(firings=()), play)


def test_what_fired_without_a_change_is_named_with_a_command_for_one() -> None:
    firings = (attrs.evolve(FIRING_B, name="slide", kind="scenario", set={}),)
    view = a_view(firings=firings, path="runs/mine")
    text = text_of(rollback_content(view, RollbackState(fired=fired_scenarios(firings)), 100, Look()))
    assert "slide fired, without a change of its own" in text
    assert "jepa rollback mine --scenario slide --set KEY=VALUE" in text


def test_a_run_directory_that_is_gone_is_a_problem_in_words(tmp_path: Path) -> None:
    async def play(stage: Stage, screen: RollbackScreen, pilot: Pilot[None]) -> None:
        assert "is not a run directory" in words_on(screen)

    on_stage(a_view(path=str(tmp_path / "gone")), play)


def test_where_the_run_went_on_is_shown() -> None:
    view = a_view(firings=(), state="rolled_back", status=Status(state="rolled_back", child="mine-20261122-220000"))
    text = text_of(rollback_content(view, RollbackState(fired=()), 80, Look()))
    assert "goes on as mine-20261122-220000" in text


def test_rollback_scenarios_come_first_and_findings_without_a_remedy_not_at_all() -> None:
    remedied = attrs.evolve(FIRING_B, name="dead-loss", kind="scenario")
    bare = attrs.evolve(FIRING_B, name="slow", kind="scenario", set={})
    must = attrs.evolve(FIRING_B, name="must", kind="must")
    names = [firing.name for firing in fired_scenarios((FIRING_B, remedied, bare, must))]
    assert names == ["B", "dead-loss"]


@pytest.mark.parametrize("width", [20, 40, 76, 120])
def test_the_plan_can_be_read_at_any_width(tmp_path: Path, width: int) -> None:
    run = run_with_firing(tmp_path)
    content = rollback_content(a_view(path=str(run)), looked_up(run), width, Look(ascii=True))
    text = text_of(content)
    assert "0.025" in text
    assert "600" in text


def looked_up(run: Path) -> RollbackState:
    found = look(run, "B", NOTHING_ASKED, planned_here)
    return RollbackState(fired=(FIRING_B,), stage="ready", plan=found.plan, problem=found.problem)


def test_the_plan_is_the_one_that_the_command_makes(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)
    assert planned_by_command(run, "B") == planned_here(run, "B")


def test_what_the_command_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    run = run_with_firing(tmp_path)
    with pytest.raises(JepaError, match=r"^'--x' has not fired in mine-20261122-214501"):
        planned_by_command(run, "--x")


def test_of_a_run_made_with_a_plugin_file_the_command_that_has_it_is_given_to_be_typed(tmp_path: Path) -> None:
    """The monitor runs no code that a run directory names."""
    (tmp_path / "runs").mkdir()
    run, plugin = run_with_firing(tmp_path / "runs"), tmp_path / "parts.py"
    plugin.write_text(f"raise SystemExit({str(plugin)!r})")
    environment = run / "environment.json"
    recorded = orjson.loads(environment.read_bytes()) if environment.exists() else {}
    files = [{"path": str(plugin), "sha256": "0" * 64}]
    environment.write_bytes(orjson.dumps({**recorded, "plugin_files": files}))
    found = look(run, "B", NOTHING_ASKED, planned_by_command)
    flags = f"--scenario B --plugin {plugin}"
    assert found.plan is None
    assert "was made with a local plugin" in found.problem
    assert f"\nIn a shell: jepa rollback {run} {flags}" in found.problem
