"""The line of rules."""

from __future__ import annotations

from pathlib import Path

import attrs

from jepa_monitor.board.rules_bar import rules_bar
from tests.monitor.views import outlook, view_of, with_outlooks

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
        " rollback ▲ B press r    must ✔ codes 14.1 > 10 %  ◔ target rank 8.30 > 8 at step 1,210?  ◌ epochs"
    )
    assert text.rstrip().endswith("abort ✔ clear")


def test_a_rollback_that_fired_stands_first_with_its_key_however_narrow_the_bar(tmp_path: Path) -> None:
    view = with_outlooks(view_of(tmp_path / "mine"), *MUSTS, outlook("rollback", "fired", title="B"))
    assert rules_bar(view, 24).text.startswith(" rollback ▲ B press r")
    assert rules_bar(view, 60, "f5").text.startswith(" rollback ▲ B press f5 ")


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


def test_without_rules_the_bar_says_why(tmp_path: Path) -> None:
    view = with_outlooks(view_of(tmp_path / "mine"))
    assert rules_bar(view, 80).text.strip() == "No rules: the recipe has none under [watch]."
    unread = attrs.evolve(view, recipe={})
    assert rules_bar(unread, 80).text.strip() == "No rules: there is no recipe to read."
    assert rules_bar(attrs.evolve(unread, state="starting"), 80).text.strip() == "No rules yet: the run is starting."


def test_margins_are_told_where_120_columns_have_room_for_them(tmp_path: Path) -> None:
    titles = ("codebook in use", "context rank", "target rank")
    musts = [outlook("must", "passing", t, 0.41, title=t, value=0.141, operator=">", limit=0.1) for t in titles]
    view = with_outlooks(view_of(tmp_path / "mine"), *musts, outlook("nice", "passing"), outlook("abort", "passing"))
    assert "codebook in use 0.141 > 0.1 +41 %" in rules_bar(view, 160).text
    assert rules_bar(view, 120).text.count("+41 %") == 3


def test_where_not_all_musts_fit_those_nearest_to_their_limits_have_their_margins(tmp_path: Path) -> None:
    margins = (4.0, 0.1, 3.0, 2.0, 5.0)
    outlooks = [
        outlook("must", "passing", f"m{index}", margin, title=f"a long title of must {index}", value=1.0, limit=0.5)
        for index, margin in enumerate(margins)
    ]
    text = rules_bar(with_outlooks(view_of(tmp_path / "mine"), *outlooks), 80).text
    assert "a long title of must 1" in text
    assert "+10 %" in text
    assert "✔ 3" in text


def test_titles_are_counted_rather_than_cut(tmp_path: Path) -> None:
    titles = ("all epochs", "nothing non-finite", "codebook in use", "rank of context", "rank of target", "above null")
    musts = [
        outlook("must", "passing", str(number), title=title, value=9.0 + number, operator=">", limit=8.0)
        for number, title in enumerate(titles)
    ]
    view = with_outlooks(view_of(tmp_path / "mine"), *musts)
    for width in range(60, 260, 10):
        assert "…" not in rules_bar(view, width).text, width


def test_a_long_title_is_whole_where_it_has_room(tmp_path: Path) -> None:
    title = "retrieval above the strongest null"
    rule = outlook("must", "failed", "null", title=title, value=-0.07, operator=">", limit=0.0)
    view = with_outlooks(view_of(tmp_path / "mine"), rule)
    assert title in rules_bar(view, 60).text
    assert "retrieval above the str… −0.070 > 0" in rules_bar(view, 46).text


def test_of_musts_without_trouble_those_that_are_judged_are_named_before_those_that_wait(tmp_path: Path) -> None:
    waiting = outlook("must", "pending", "epochs", -0.99, title="epochs of the whole run", value=0.005, limit=0.9)
    rank = outlook("must", "passing", "rank", 6.8, title="rank of the contexts", value=39.0, operator=">", limit=5.0)
    view = with_outlooks(view_of(tmp_path / "mine"), waiting, rank)
    assert rules_bar(view, 46).text.rstrip() == " must ✔ rank of the contexts 39 +680 %  ◌ 1"
