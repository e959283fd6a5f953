"""What differs between two recipes."""

from __future__ import annotations

from pathlib import Path

from jepa_core.recipes.difference import Change, recipe_difference
from tests.recipes.writing_recipes import MINIMAL, load, write


def test_equal_recipes_do_not_differ_whatever_their_files(tmp_path: Path) -> None:
    left = load(write(tmp_path, "left", 'name = "a"\n' + MINIMAL)).table
    right = load(write(tmp_path, "right", 'name = "a"\ntrain.epochs = 10\n' + MINIMAL)).table
    assert recipe_difference(left, right) == ()


def test_changed_added_and_removed_keys_are_told_with_both_values() -> None:
    left = {"train": {"epochs": 3, "seed": 1}, "losses": {"a": {"weight": 1.0}}}
    right = {"train": {"epochs": 4, "seed": 1}, "losses": {"b c": {"weight": 1.0}}}
    assert recipe_difference(left, right) == (
        Change("train.epochs", 3, 4),
        Change("losses.a.weight", 1.0, None),
        Change('losses."b c".weight', None, 1.0),
    )


def test_each_table_is_in_one_place() -> None:
    left = {
        "data": {"kind": "arc", "version": 1},
        "train": {"epochs": 1},
        "watch": {"must": [{"id": "a", "when": "x"}]},
    }
    right = {
        "data": {"kind": "traces", "side": 8}, "train": {"epochs": 2},
        "watch": {"must": [{"id": "a", "when": "y", "title": "A"}]}, "augmentation": {"colours": {"enabled": True}},
    }  # fmt: skip
    assert [change.key for change in recipe_difference(left, right)] == [
        "data.kind", "data.version", "data.side", "train.epochs", "watch.must[a].when", "watch.must[a].title",
        "augmentation.colours.enabled",
    ]  # fmt: skip


def test_what_is_a_table_on_one_side_and_a_value_on_the_other_is_both() -> None:
    assert recipe_difference({"a": 1}, {"a": {"b": 2}}) == (Change("a", 1, None), Change("a.b", None, 2))


def test_rules_are_compared_by_id_not_by_order() -> None:
    left = {"watch": {"must": [{"id": "a", "when": "x"}, {"id": "b", "when": "y"}], "nice": []}}
    right = {"watch": {"must": [{"id": "b", "when": "z"}, {"id": "a", "when": "x"}], "nice": [{"id": "c", "when": ""}]}}
    assert recipe_difference(left, right) == (
        Change("watch.must[b].when", "y", "z"),
        Change("watch.nice[c].when", None, ""),
    )


def test_one_and_true_are_different_values() -> None:
    assert recipe_difference({"a": 1}, {"a": True}) == (Change("a", 1, True),)
