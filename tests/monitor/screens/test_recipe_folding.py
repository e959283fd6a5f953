"""Two recipes that have little in common, in a screenful."""

from __future__ import annotations

from typing import Any

import pytest

from jepa_core.recipes.difference import Change, recipe_difference
from jepa_monitor.screens.recipe_difference import OtherRecipe, difference_content
from jepa_monitor.screens.recipe_folding import folded, in_order
from tests.monitor.panels.views import a_view

LEFT: dict[str, Any] = {
    "name": "left",
    "data": {"kind": "arc", "context_length": 5, "windows": 64, "version": 1},
    "encoder": {"kind": "blocks", "dropout": 0.1, "heads": 8, "place": {"dim": 48, "share": 1.0}},
    "losses": {"info_nce": {"kind": "info_nce", "temperature": 0.05, "weight": 1.0}},
    "train": {"epochs": 1, "batch_size": 64},
    "watch": {
        "must": [
            {"id": "finite", "when": "finite(loss.total)", "hold": "always", "title": "finite"},
            {"id": "rank", "when": "rank.context > 5", "hold": "end", "title": "rank"},
        ]
    },
}
RIGHT: dict[str, Any] = {
    "train": {"epochs": 8, "batch_size": 64},
    "watch": {"must": [{"id": "rank", "when": "rank.context > 9", "hold": "end", "title": "rank"}]},
    "name": "right",
    "data": {"kind": "digits", "context_length": 3, "side": 12, "noise": 0.2},
    "encoder": {"kind": "convnet", "dropout": 0.0, "stages": 2},
    "losses": {
        "info_nce": {"kind": "info_nce", "temperature": 0.07, "weight": 1.0},
        "view_contrast": {"kind": "view_contrast", "weight": 1.0, "temperature": 0.1},
    },
}
CHANGES = recipe_difference(LEFT, RIGHT)
TELLING = [
    "data.kind", "data.context_length", "encoder.kind", "encoder.dropout", "losses.info_nce.temperature",
    "losses.view_contrast", "train.epochs", "watch.must[finite]", "watch.must[rank].when", "name",
]  # fmt: skip


def keys(num_rows: int) -> list[str]:
    return [change.key for table in folded(CHANGES, num_rows) for change in table.shown]


def test_what_comes_with_an_exchanged_component_and_with_a_rule_is_folded_into_it() -> None:
    assert len(CHANGES) == 22
    assert keys(99) == TELLING


def test_a_component_or_rule_that_one_recipe_has_is_told_by_its_kind_or_condition() -> None:
    shown = {change.key: change for table in folded(CHANGES, 99) for change in table.shown}
    assert shown["losses.view_contrast"] == Change("losses.view_contrast", None, "view_contrast")
    assert shown["watch.must[finite]"] == Change("watch.must[finite]", "finite(loss.total)", None)


def test_what_changes_the_model_stands_before_what_watches_it_and_names_come_last() -> None:
    tables = list(dict.fromkeys(change.key.partition(".")[0] for change in in_order(CHANGES)))
    assert tables == ["data", "encoder", "losses", "train", "watch", "name"]


def test_a_setting_that_only_one_of_two_versions_of_a_component_has_is_shown() -> None:
    changes = [Change("losses.info_nce.context_weight", 0.05, None)]
    assert [change.key for table in folded(changes, 9) for change in table.shown] == ["losses.info_nce.context_weight"]


@pytest.mark.parametrize(
    ("num_rows", "shown", "hidden"),
    [
        (9, {"data": 3, "train": 5, "checkpoint": 1}, {}),
        (8, {"data": 3, "train": 2, "checkpoint": 1}, {"train": ("losses", "clip_norm", "seed")}),
        (5, {"data": 3, "train": 0, "checkpoint": 1}, {"train": ("epochs", "size", "losses", "clip_norm", "seed")}),
    ],
)
def test_where_there_is_less_room_the_last_long_table_is_cut_and_what_is_hidden_is_named(
    num_rows: int, shown: dict[str, int], hidden: dict[str, tuple[str, ...]]
) -> None:
    changes = [
        *(Change(f"data.{name}", 1, 2) for name in ("kind", "seed", "noise")),
        *(Change(f"train.{name}", 1, 2) for name in ("epochs", "size", "losses[a].x", "clip_norm", "seed")),
        Change("checkpoint.keep", 1, 2),
    ]
    tables = folded(changes, num_rows)
    assert {each.table: len(each.shown) for each in tables} == shown
    assert {each.table: each.hidden_parts for each in tables if each.hidden} == hidden


def test_an_exchanged_component_is_shown_however_little_room_there_is() -> None:
    changes = [Change(f"encoder.{name}", 1, 2) for name in ("kind", "dropout", "layers", "heads")]
    assert [change.key for change in folded(changes, 1)[0].shown] == ["encoder.kind"]


def test_a_screenful_says_how_much_is_not_shown_and_which_key_shows_all() -> None:
    others = [OtherRecipe(relation="other", name="left", recipe=LEFT)]

    def rows(height: int, *, is_whole: bool = False) -> tuple[list[str], str, str]:
        content = difference_content(a_view(recipe=RIGHT), others, 0, 70, height, is_whole=is_whole)
        return [row.text.split()[0] for row in content.lines], content.title.text, content.foot.text

    first, title, foot = rows(12)
    assert first == ["other", *TELLING]
    assert title == "22 keys differ, 10 shown"
    assert "enter all 22" in foot
    every, title, foot = rows(12, is_whole=True)
    assert (len(every), title) == (23, "22 keys differ")
    assert "enter only what matters most, 10" in foot
    assert rows(23)[0] == every
    assert "enter" not in rows(23)[2]


def test_a_recipe_that_cannot_be_read_differs_in_no_key() -> None:
    others = [OtherRecipe(relation="other", name="left", recipe=LEFT)]
    content = difference_content(a_view(recipe={}), others, 0, 70, 20)
    assert "recipe.toml is missing or damaged" in " ".join(row.text for row in content.lines)
