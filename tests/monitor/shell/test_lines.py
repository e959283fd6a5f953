"""The lines around the charts: head, rules, notice, keys, legend."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest

from jepa_core.run_directory.status import Status
from jepa_monitor.keys import MONITOR_KEYS, RUN_KEYS
from jepa_monitor.shell.head_line import head_line, skeleton_line
from jepa_monitor.shell.key_line import key_line
from jepa_monitor.shell.legend import legend_line
from jepa_monitor.shell.non_finite import NonFiniteWatch, non_finite_line
from jepa_monitor.shell.notice import notice_line
from jepa_monitor.shell.rules_bar import rules_bar
from tests.monitor.shell.views import outlook, view_of, with_outlooks

RUNNING = Status(state="running", total_steps=800, total_epochs=8)


def test_the_head_says_state_progress_pace_and_what_is_left(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state="running", status=RUNNING)
    text = head_line(view, 120, ("x epoch",)).text
    assert text.startswith(" mine   ● running   epoch 5/8   step 400/800   40 s left   5.1 k/s")
    assert text.rstrip().endswith("x epoch  one GPU")


@pytest.mark.parametrize("width", [1, 10, 30, 80, 200])
def test_the_head_is_as_wide_as_the_screen(tmp_path: Path, width: int) -> None:
    assert head_line(view_of(tmp_path / "mine"), width, ("replay ×20, paused", "page 1/8")).width == width
    assert skeleton_line("mine", width).width == width


def test_in_a_narrow_head_progress_stays_and_the_device_goes_first(tmp_path: Path) -> None:
    text = head_line(view_of(tmp_path / "mine"), 66, ("paused", "page 1/8")).text
    assert "step 400/400" in text
    assert "paused" in text
    assert "GPU" not in text


def test_a_stale_run_says_since_when(tmp_path: Path) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state="stale", heartbeat_age=7260.0)
    assert "? stale   last sign of life 2 h 1 min ago" in head_line(view, 120).text


MUSTS = (
    outlook("must", "passing", "a", title="codes", value=0.141, operator=">", limit=0.1, unit="%"),
    outlook("must", "at risk", "b", title="target rank", value=8.3, operator=">", limit=8.0),
    outlook("must", "pending", "c", title="epochs"),
)


def test_the_bar_says_every_rule_in_full_where_there_is_room(tmp_path: Path) -> None:
    near = attrs.evolve(MUSTS[1], crossing_step=1210.0)
    rules = (
        MUSTS[0],
        near,
        MUSTS[2],
        outlook("nice", "passing"),
        outlook("nice", "pending"),
        outlook("abort", "passing"),
    )
    view = with_outlooks(view_of(tmp_path / "mine"), *rules, outlook("rollback", "fired", title="B"))
    text = rules_bar(view, 160).text
    assert text.startswith(
        " must ✔ codes 14.1 > 10 %  ◔ target rank 8.30 > 8 at step 1,210?  ◌ epochs    nice ◌ 1 of 2    "
    )
    assert "abort ✔ clear    rollback ▲ B" in text


def test_a_narrow_bar_keeps_what_is_in_trouble(tmp_path: Path) -> None:
    view = with_outlooks(view_of(tmp_path / "mine"), *MUSTS, outlook("scenario", "fired"))
    assert rules_bar(view, 64).text.rstrip() == " must ✔ codes  ◔ target rank 8.30 > 8  ◌ epochs    ▲ 1 finding"
    assert rules_bar(view, 50).text.rstrip() == " must ◔ target rank  ✔ 1  ◌ 1    ▲ 1 finding"
    assert rules_bar(view, 20).width == 20


def test_in_a_narrow_bar_the_crossing_gives_way_before_the_value(tmp_path: Path) -> None:
    near = attrs.evolve(MUSTS[1], crossing_step=1210.0)
    view = with_outlooks(view_of(tmp_path / "mine"), MUSTS[0], near)
    assert rules_bar(view, 50).text.rstrip() == " must ◔ target rank 8.30 > 8 at step 1,210?  ✔ 1"
    assert rules_bar(view, 40).text.rstrip() == " must ◔ target rank 8.30 > 8  ✔ 1"
    assert rules_bar(view, 26).text.rstrip() == " must ◔ target rank  ✔ 1"


def test_an_abort_at_risk_is_named(tmp_path: Path) -> None:
    view = with_outlooks(view_of(tmp_path / "mine"), outlook("abort", "at risk", title="collapse"))
    assert "abort ◔ collapse" in rules_bar(view, 80).text


def test_without_rules_the_bar_says_so(tmp_path: Path) -> None:
    assert rules_bar(with_outlooks(view_of(tmp_path / "mine")), 80).text.strip() == "no rules"


def test_the_first_value_that_is_not_finite_is_told_with_the_last_finite_ones(tmp_path: Path) -> None:
    def spoil(row: dict[str, float]) -> dict[str, float]:
        late = row["step"] >= 300
        return row | ({"loss.total": math.nan, "loss.relational": math.inf} if late else {"loss.info_nce": 2.5})

    view = view_of(tmp_path / "mine", change=spoil)
    found = NonFiniteWatch().observe(view.history)
    assert found is not None
    assert (found.name, found.step) == ("loss.relational", 300)
    text = non_finite_line(found, view, 120).text
    assert text.startswith(" ✘ loss.relational is inf since step 300   last finite: loss.info_nce ")
    assert notice_line(view, "", found, 120) == non_finite_line(found, view, 120)


def test_the_watch_looks_at_new_values_alone_and_starts_again_when_rows_are_gone(tmp_path: Path) -> None:
    watch = NonFiniteWatch()
    good, bad = view_of(tmp_path / "a"), view_of(tmp_path / "b", change=lambda row: row | {"lr": math.nan})
    assert watch.observe(good.history) is None
    assert watch.observe(bad.history) is None
    assert watch.observe(view_of(tmp_path / "c", recorded=[{"step": 10, "lr": 1.0}]).history) is None
    assert watch.observe(view_of(tmp_path / "d", recorded=[]).history) is None
    assert NonFiniteWatch().observe(bad.history) is not None


def test_the_notice_tells_of_damage_and_of_judging_that_goes_on(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine")
    assert notice_line(view, "", None, 80) is None
    for changed, words in (
        (attrs.evolve(view, damaged=3), "3 damaged lines passed over"),
        (attrs.evolve(view, problems=("the recipe is odd",)), "the recipe is odd"),
        (attrs.evolve(view, judged_rows=10), "10 of 40 rows judged so far"),
    ):
        shown = notice_line(changed, "", None, 80)
        assert shown is not None
        assert words in shown.text
    gone = notice_line(None, "it is gone", None, 80)
    assert gone is not None
    assert "it is gone" in gone.text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_key_line_fits_and_always_has_help_and_quit(width: int) -> None:
    shown = key_line((*RUN_KEYS, *MONITOR_KEYS), {}, width)
    assert shown.width == width
    assert "? help" in shown.text
    assert "q quit" in shown.text


def test_the_legend_numbers_the_runs(tmp_path: Path) -> None:
    text = legend_line([view_of(tmp_path / "a"), view_of(tmp_path / "b")], 120).text
    assert "1 ━━ a MRR 0.380" in text
    assert "2 ━━ b MRR 0.380" in text
