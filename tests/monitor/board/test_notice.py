"""The line that is there only when something has to be said."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest

from jepa_core.run_directory.status import ShownState
from jepa_monitor.board.notice import NonFiniteWatch, non_finite_line, notice_line
from tests.monitor.views import view_of


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


def test_a_value_that_is_finite_again_is_told_of_as_past(tmp_path: Path) -> None:
    view = view_of(tmp_path / "mine", change=lambda row: row | ({"lr": math.inf} if row["step"] == 300 else {}))
    found = NonFiniteWatch().observe(view.history)
    assert found is not None
    assert non_finite_line(found, view, 120).text.startswith(" ✘ lr was inf first at step 300   last finite: ")


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


@pytest.mark.parametrize("state", ["crashed", "failed"])
def test_of_a_run_that_died_it_says_what_tells_why(tmp_path: Path, state: ShownState) -> None:
    view = attrs.evolve(view_of(tmp_path / "mine"), state=state)
    shown = notice_line(view, "", None, 200)
    assert shown is not None
    assert f"jepa autopsy {tmp_path / 'mine'} says why it died" in shown.text
    assert notice_line(attrs.evolve(view, replay_position="×20"), "", None, 200) is None
