from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from textual.binding import Binding
from textual.pilot import Pilot

from jepa_core.recipes.difference import Change
from jepa_core.run_directory.status import Status, write_status
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.verdict import Verdict
from jepa_monitor.alerts import AlertBook, Moment
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import Outlook
from jepa_monitor.screens.alerts import AlertsScreen, alerts_content
from jepa_monitor.screens.help import HelpScreen, KeyGroup
from jepa_monitor.screens.recipe_columns import change_lines
from jepa_monitor.screens.recipe_difference import (
    OtherRecipe,
    RecipeDifferenceScreen,
    difference_content,
    related_recipes,
)
from jepa_monitor.screens.sheet import Sheet
from jepa_monitor.screens.verdict import VerdictScreen, verdict_content
from tests.monitor.panels.views import FIRED, FIRING_B, MUST, RECIPE, a_view
from tests.monitor.screens.stage import Stage, text_on, until
from tests.run_directory.runs import record_run

LOOK = Look()


def on_stage(
    sheet: Sheet, play: Callable[[Stage, Pilot[None]], Awaitable[None]], book: AlertBook | None = None
) -> None:
    async def act() -> None:
        stage = Stage(sheet, book)
        async with stage.run_test(size=(100, 30)) as pilot:
            await pilot.pause()
            await play(stage, pilot)

    asyncio.run(act())


def text_shown(sheet: Sheet) -> str:
    texts: list[str] = []

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        texts.append(text_on(sheet))

    on_stage(sheet, play)
    return texts[0]


VERDICT = Verdict(
    run="mine",
    outcome="success",
    reason="retrieval 11 % better",
    ending="finished",
    baseline="gentle_vq",
    judgements=(MUST, FIRED),
    next="jepa run recipes/production.toml  # the long run",
)


def test_the_verdict_is_shown_whole_with_what_fired() -> None:
    text = text_shown(VerdictScreen(a_view(verdict=VERDICT), LOOK))
    for words in ("Verdict: success against gentle_vq", "✔ codebook in use", "14.1 %", "▲ relational loss near zero"):
        assert words in text
    assert "jepa run recipes/production.toml" in text


def test_before_the_end_the_rules_so_far_and_retrieval_are_shown() -> None:
    text = text_shown(VerdictScreen(a_view(problems=("rule 3: unreadable",)), LOOK))
    for words in ("No verdict yet", "✔ codebook in use", "+41 %", "equal cells", "rule 3: unreadable"):
        assert words in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("crashed", "died before its end"),
        ("failed", "failed"),
        ("interrupted", "was interrupted"),
        ("rolled_back", "was rolled back"),
    ],
)
def test_of_a_run_that_came_to_no_verdict_it_says_how_it_ended_and_what_tells_more(state: Any, words: str) -> None:
    shown = " ".join(row.text for row in verdict_content(a_view(state=state), 71, LOOK).lines)
    assert f"No verdict: the run {words}." in shown
    assert "jepa autopsy /nowhere/mine-20261122-214501" in shown
    assert "has not ended" not in shown
    assert "✔ codebook in use" in shown


@pytest.mark.parametrize("width", [60, 76, 110])
def test_the_command_to_go_on_with_is_never_cut(width: int) -> None:
    verdict = attrs.evolve(VERDICT, next="jepa eval /tmp/runs/mine-20261122-214501  # how the best one does elsewhere")
    rows = [row.text for row in verdict_content(a_view(verdict=verdict), width, LOOK).lines]
    assert "jepa eval /tmp/runs/mine-20261122-214501" in " ".join(rows)
    assert "how the best one does elsewhere" in " ".join(rows)
    assert all(len(row) <= width for row in rows if "Next" in row or "elsewhere" in row)


def test_what_is_at_risk_says_when_it_will_be_at_its_limit() -> None:
    outlook = Outlook(judgement=MUST, prospect="at risk", metric="vq.usage", crossing_step=1210.0)
    text = text_shown(VerdictScreen(a_view(outlooks=(outlook,)), LOOK))
    assert "◔ codebook in use" in text
    assert "near step 1,210" in " ".join(text.replace("│", " ").split())


def test_on_a_narrow_screen_a_scenario_takes_no_line_for_each_word_of_its_condition() -> None:
    spike = Judgement(
        kind="scenario", id="s", title="the loss spikes", when="a > first(a) and min(a) > 0 and a > 2 * min(a)",
        state="fired", evaluations=3,
    )  # fmt: skip
    view = a_view(outlooks=(Outlook(judgement=spike, prospect="fired", metric=""),))
    shown = {width: [row.text for row in verdict_content(view, width, LOOK).lines] for width in (70, 110)}
    assert any("min(a)" in row for row in shown[110])
    assert not any("min(a)" in row for row in shown[70])
    assert any("▲ the loss spikes" in row for row in shown[70])


def test_a_verdict_that_comes_while_the_screen_is_open_appears() -> None:
    sheet = VerdictScreen(a_view(), LOOK)

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        sheet.show(a_view(verdict=VERDICT), LOOK)
        assert "Verdict: success" in text_on(sheet)
        await pilot.press("escape")
        assert stage.screen is not sheet

    on_stage(sheet, play)


def test_the_recipe_difference_has_two_columns_and_another_recipe_is_chosen() -> None:
    others = [
        OtherRecipe(relation="parent", name="mine-1", recipe={**RECIPE, "quantizer": {"kind": "none"}}),
        OtherRecipe(relation="baseline", name="gentle-1", recipe=RECIPE),
    ]
    sheet = RecipeDifferenceScreen(a_view(), LOOK, others)

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        text = text_on(sheet)
        assert "2 keys differ" in text
        assert "parent mine-1" in text
        kind = next(row for row in text.splitlines() if "quantizer.kind" in row)
        assert kind.split()[1:4] == ["quantizer.kind", '"none"', '"ema_vq"']
        await pilot.press("right")
        assert "The recipes are equal." in text_on(sheet)
        await pilot.press("left", "left", "left")
        assert "2 keys differ" in text_on(sheet)

    on_stage(sheet, play)


def test_of_a_key_that_is_too_long_the_end_is_shown() -> None:
    changes = [Change(key=f"watch.scenario[attention_uniform].{end}", left=1, right=2) for end in ("when", "title")]
    rows = [row.text for row in change_lines(changes, 64, ("parent", "this run"))]
    assert [row[0] for row in rows[1:]] == ["…", "…"]
    assert "].when " in rows[1]
    assert "].title " in rows[2]


def test_without_a_choice_the_parents_and_the_baselines_recipes_are_read(tmp_path: Path) -> None:
    parent, baseline = (record_run(tmp_path / f"{name}-20260101-000000", name=name) for name in ("old", "gentle"))
    view = a_view(
        path=str(tmp_path / "mine"),
        status=Status(parent=parent.name),
        baseline=BaselineValues(name="gentle", path=str(baseline)),
    )
    sheet = RecipeDifferenceScreen(view, LOOK)

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "parent old-20260101-000000" in text_on(sheet))
        assert "baseline gentle-20260101-000000" in text_on(sheet)

    on_stage(sheet, play)
    assert [other.relation for other in related_recipes(view)] == ["parent", "baseline"]


def test_without_parent_and_baseline_it_is_compared_with_the_run_before_it(tmp_path: Path) -> None:
    paths = [record_run(tmp_path / f"{name}-20260101-000000", name=name) for name in ("one", "two", "three")]
    for path, started in zip(paths, (1.0, 2.0, 3.0), strict=True):
        write_status(path, Status(state="finished", started=started))
    relations = [[(each.relation, each.name) for each in related_recipes(a_view(path=str(path)))] for path in paths]
    one, two, _ = (path.name for path in paths)
    assert relations == [[("run after", two)], [("run before", one)], [("run before", two)]]
    gone = related_recipes(a_view(path=str(tmp_path / "gone-20260101-000000")))
    assert [(each.relation, each.name) for each in gone] == [("run before", paths[2].name)]


def test_a_parent_that_is_the_run_before_is_there_once(tmp_path: Path) -> None:
    parent, run = (record_run(tmp_path / f"{name}-20260101-000000", name=name) for name in ("old", "young"))
    related = related_recipes(a_view(path=str(run), status=Status(parent=parent.name)))
    assert [other.relation for other in related] == ["parent"]


@pytest.mark.parametrize("parent", ["", "../elsewhere", "/etc", "gone", "\0"])
def test_a_parent_that_is_not_beside_the_run_is_not_looked_for(tmp_path: Path, parent: str) -> None:
    assert related_recipes(a_view(path=str(tmp_path / "mine"), status=Status(parent=parent))) == ()


def test_with_nothing_to_compare_with_it_says_so() -> None:
    assert "Nothing to compare with" in text_shown(RecipeDifferenceScreen(a_view(), LOOK))


def test_that_there_is_nothing_to_compare_with_is_said_whole_on_a_narrow_screen() -> None:
    rows = [row.text for row in difference_content(a_view(), (), 0, 71, 20).lines]
    assert " ".join(rows).endswith("In the list of runs (esc) m marks two, and d compares those.")
    assert all(len(row) <= 71 for row in rows)


def two_alerts() -> AlertBook:
    view = a_view(firings=(FIRING_B, attrs.evolve(FIRING_B, name="A", step=700.0, message="worse than the baseline")))
    return AlertBook().observe(view, Moment.read())


def test_the_newest_alert_is_chosen_and_its_advice_is_shown() -> None:
    sheet = AlertsScreen(a_view(), LOOK, two_alerts())

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        text = text_on(sheet)
        assert "2 new of 2" in text
        assert text.index("rollback A") < text.index("Raise the weights back.") < text.index("rollback B")
        await pilot.press("down")
        text = text_on(sheet)
        assert text.index("rollback B") < text.index("Raise the weights back.")
        await pilot.press("up", "up")
        assert text_on(sheet).index("Raise the weights back.") < text_on(sheet).index("rollback B")

    on_stage(sheet, play, two_alerts())


def test_the_keys_of_the_alerts_fit_on_a_narrow_screen() -> None:
    foot = alerts_content(two_alerts(), 0, 71, LOOK, Moment.read()).foot
    assert foot.text.endswith("esc leave")
    assert foot.width <= 67


def test_a_acknowledges_s_silences_and_the_history_tells() -> None:
    book = two_alerts()
    sheet = AlertsScreen(a_view(), LOOK, book)

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("a")
        assert stage.book.acknowledged == {"rollback A@700"}
        await pilot.press("down", "s")
        assert list(stage.book.snoozes) == ["rollback B"]
        text = text_on(sheet)
        assert "0 new of 2" in text
        assert "acknowledged" in text
        assert "silent for 10 min 0 s" in text or "silent for 9 min" in text
        await pilot.press("t")
        text = text_on(sheet)
        assert "snoozed for 10 minutes rollback B" in text
        assert "acknowledged rollback A" in text
        await pilot.press("down", "t")
        assert "0 new of 2" in text_on(sheet)

    on_stage(sheet, play, book)


def test_shift_a_acknowledges_all() -> None:
    book = two_alerts()

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("A")
        assert len(stage.book.acknowledged) == 2

    on_stage(AlertsScreen(a_view(), LOOK, book), play, book)


def test_without_alerts_the_keys_do_nothing() -> None:
    sheet = AlertsScreen(a_view(), LOOK, AlertBook())

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("a", "s", "A", "down", "up")
        assert "Nothing wants attention." in text_on(sheet)
        assert stage.book == AlertBook()
        await pilot.press("t")
        assert "Nothing has happened yet." in text_on(sheet)

    on_stage(sheet, play)


def test_the_help_has_every_binding_with_a_description_each_action_once() -> None:
    groups = [
        KeyGroup(
            title="charts",
            bindings=[
                Binding("y", "log", "log axis"),
                Binding("plus", "zoom(1)", "zoom in"),
                Binding("equals_sign", "zoom(1)", "zoom in"),
                Binding("f12", "hidden", ""),
            ],
        ),
        KeyGroup(title="elsewhere", bindings=[Binding("question_mark", "help", "this page")]),
        KeyGroup(title="empty", bindings=[]),
    ]
    text = text_shown(HelpScreen(a_view(), LOOK, groups))
    assert "+ =" in text
    assert text.count("zoom in") == 1
    assert "?" in text
    assert "this page" in text
    assert "hidden" not in text
    assert "empty" not in text


def test_a_sheet_scrolls_with_the_keys() -> None:
    recipe: Mapping[str, Any] = {"losses": {f"l{index}": {"weight": 1.0} for index in range(100)}}
    sheet = RecipeDifferenceScreen(a_view(), LOOK, [OtherRecipe(relation="run", name="other", recipe=recipe)])

    async def play(stage: Stage, pilot: Pilot[None]) -> None:
        assert "losses.l0.weight" in text_on(sheet)
        assert "more: l2" in text_on(sheet)
        await pilot.press("enter", "end")
        assert "losses.l99.weight" in text_on(sheet) or "quantizer" in text_on(sheet)
        assert "losses.l0.weight" not in text_on(sheet)
        await pilot.press("pageup", "up", "k", "down", "j", "pagedown", "home")
        assert "losses.l0.weight" in text_on(sheet)

    on_stage(sheet, play)
