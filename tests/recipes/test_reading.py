"""Reading recipes that are in order: defaults, names, inheritance, flags, and the resolved recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.recipes.difference import recipe_difference
from jepa_core.recipes.tables import LossEntry, Train
from jepa_core.recipes.writing import recipe_to_toml
from tests.recipes.small_registry import (
    AttentionConfig,
    CellsConfig,
    CodesConfig,
    ContrastConfig,
    GridsConfig,
    IdentityConfig,
    MeanConfig,
    NoneConfig,
    OtherGridsConfig,
    RelationalConfig,
    Shift,
)
from tests.recipes.writing_recipes import MINIMAL, faults_of, load, write


def test_a_recipe_needs_only_data_an_encoder_and_a_loss(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, "small", MINIMAL)).recipe
    assert recipe.name == "small"
    assert recipe.data == GridsConfig()
    assert recipe.encoder == CellsConfig()
    assert recipe.quantizer == NoneConfig()
    assert recipe.aggregator == MeanConfig()
    assert recipe.predictor == IdentityConfig()
    assert recipe.losses == {"contrast": LossEntry(name="contrast", weight=1.0, config=ContrastConfig())}
    assert recipe.train == Train()


def test_every_kind_of_field_is_read(tmp_path: Path) -> None:
    text = """\
    [data]
    kind = "grids"
    path = "a/b.jsonl"
    [encoder]
    kind = "cells"
    levels = [2, 3, 4]
    corner = [1, 2]
    shifts = [{ by = 1 }, { by = 2, wrap = true }]
    limit = 7
    start = "random"
    names = { "a.b" = 1, c = 0.5 }
    [losses.contrast]
    [losses.near]
    kind = "relational"
    weight = 2
    """
    recipe = load(write(tmp_path, "all", text)).recipe
    assert recipe.data == GridsConfig(path=Path("a/b.jsonl"))
    assert recipe.encoder == CellsConfig(
        levels=(2, 3, 4),
        corner=(1, 2.0),
        shifts=[Shift(by=1), Shift(by=2, wrap=True)],
        limit=7,
        start="random",
        names={"a.b": 1.0, "c": 0.5},
    )
    assert recipe.losses["near"] == LossEntry(name="near", weight=2.0, config=RelationalConfig())
    assert type(recipe.losses["near"].weight) is float


def test_a_child_is_merged_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + "[train]\nepochs = 3\nseed = 4\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[train]\nepochs = 5\n[losses.contrast]\nweight = 0.5\n')
    recipe = load(child).recipe
    assert (recipe.train.epochs, recipe.train.seed) == (5, 4)
    assert recipe.losses["contrast"].weight == 0.5


def test_a_child_inherits_neither_name_nor_description(tmp_path: Path) -> None:
    write(tmp_path, "parent", 'name = "someone"\ndescription = "the first"\n' + MINIMAL)
    recipe = load(write(tmp_path, "child", 'extends = "parent.toml"\n')).recipe
    assert (recipe.name, recipe.description) == ("child", "")


def test_a_chain_of_recipes_in_folders_below_is_followed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path, "first", MINIMAL + "[train]\nepochs = 2\n")
    write(tmp_path / "below", "second", 'extends = "../first.toml"\n[train]\nseed = 9\n')
    recipe = load(write(tmp_path, "third", 'extends = "below/second.toml"\n')).recipe
    assert (recipe.train.epochs, recipe.train.seed) == (2, 9)


def test_a_new_kind_drops_the_fields_of_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + '[quantizer]\nkind = "codes"\ncodes = 8\n')
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[quantizer]\nkind = "none"\n')
    assert load(child).recipe.quantizer == NoneConfig()


def test_the_same_kind_again_keeps_the_fields(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + '[quantizer]\nkind = "codes"\ncodes = 8\n')
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[quantizer]\nkind = "codes"\ndecay = 0.5\n')
    assert load(child).recipe.quantizer == CodesConfig(codes=8, decay=0.5)


def test_a_new_kind_of_loss_keeps_its_weight(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + "low = 0.1\nweight = 0.3\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[losses.contrast]\nkind = "relational"\n')
    entry = load(child).recipe.losses["contrast"]
    assert (entry.weight, entry.config) == (0.3, RelationalConfig())


def test_the_optimizers_kind_drops_nothing(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + "[optimizer]\nlr = 0.5\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[optimizer]\nkind = "adam"\n')
    assert load(child).recipe.optimizer.lr == 0.5


def test_rules_merge_by_id_and_new_ones_follow(tmp_path: Path) -> None:
    rules = '[[watch.abort]]\nid = "a"\nwhen = "vq.usage < 0.1"\nfor = 3\n[[watch.abort]]\nid = "b"\nwhen = "lr > 1"\n'
    write(tmp_path, "parent", MINIMAL + rules)
    more = '[[watch.abort]]\nid = "c"\nwhen = "lr > 2"\n[[watch.abort]]\nid = "a"\nwhen = "vq.usage < 0.2"\n'
    abort = load(write(tmp_path, "child", 'extends = "parent.toml"\n' + more)).recipe.watch.abort
    assert [(rule.id, rule.when, rule.evaluations) for rule in abort] == [
        ("a", "vq.usage < 0.2", 1),
        ("b", "lr > 1", 1),
        ("c", "lr > 2", 1),
    ]


def test_for_is_the_number_of_evaluations(tmp_path: Path) -> None:
    text = MINIMAL + '[[watch.rollback]]\nid = "a"\nwhen = "lr > 1"\nfor = 3\nset = { train = { seed = 1 } }\n'
    (rule,) = load(write(tmp_path, "small", text)).recipe.watch.rollback
    assert rule.evaluations == 3
    assert rule.set == {"train": {"seed": 1}}


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.epochs=3", "train.epochs", 3),
        ("train.compile=true", "train.compile", True),
        ("optimizer.lr=1", "optimizer.lr", 1.0),
        ("data.path=/x/y.gz", "data.path", "/x/y.gz"),
        ("data.path='2'", "data.path", "2"),
        ("data.path=a=b", "data.path", "a=b"),
        ("losses.contrast.weight=2", "losses.contrast.weight", 2.0),
        ("encoder.levels=[5, 6]", "encoder.levels", [5, 6]),
        ("description=two words", "description", "two words"),
        ("train = {seed = 3}", "train.seed", 3),
    ],
)
def test_a_flag_overrides_a_value(tmp_path: Path, override: str, key: str, value: object) -> None:
    node: object = load(write(tmp_path, "small", MINIMAL), override).table
    for part in key.split("."):
        assert isinstance(node, dict)
        node = node[part]
    assert node == value
    assert type(node) is type(value)


def test_a_flag_with_a_new_kind_drops_the_old_kinds_fields_whatever_the_order_of_flags(tmp_path: Path) -> None:
    path = write(tmp_path, "small", MINIMAL.replace('"grids"', '"grids"\ncontext_length = 1'))
    for overrides in (["data.kind=other_grids", "data.sequences=4"], ["data.sequences=4", "data.kind=other_grids"]):
        assert load(path, *overrides).recipe.data == OtherGridsConfig(sequences=4)
    assert load(path, "aggregator.kind=attention").recipe.aggregator == AttentionConfig()


@pytest.mark.parametrize(
    ("override", "key", "instead"),
    [
        ("losses={}", "losses", "--set losses.contrast.weight=0; a recipe needs at least one loss"),
        ("losses={contrast={}}", "losses.contrast", "--set losses.contrast.weight=0; a recipe needs at least one loss"),
        ("nulls={}", "nulls", "--set nulls.NAME.enabled=false"),
        ("augmentation={}", "augmentation", "--set augmentation.NAME.enabled=false"),
        ("observers={}", "observers", "taken out in the recipe's file that has them"),
        ("encoder={}", "encoder", "--set encoder.kind=KIND"),
        ("train={}", "train", "--set train.KEY=VALUE"),
    ],
)
def test_an_empty_table_in_a_flag_is_refused_where_it_would_change_nothing(
    tmp_path: Path, override: str, key: str, instead: str
) -> None:
    (fault,) = faults_of(write(tmp_path, "small", MINIMAL + "[train]\nepochs = 3\n"), override)
    assert (fault.key, fault.from_flag, fault.notes) == (key, True, ())
    assert fault.message.startswith("an empty table changes nothing: what is there stays. ")
    assert fault.message.endswith(instead)


@pytest.mark.parametrize(
    ("header", "key", "instead"),
    [
        ("losses", "losses", "[losses.contrast] weight = 0; a recipe needs at least one loss"),
        ("losses.contrast", "losses.contrast", "[losses.contrast] weight = 0; a recipe needs at least one loss"),
        ("encoder", "encoder", "[encoder] kind = KIND"),
        ("train", "train", "[train] KEY = VALUE"),
    ],
)
def test_an_empty_table_in_a_file_that_extends_another_is_refused_where_it_would_change_nothing(
    tmp_path: Path, header: str, key: str, instead: str
) -> None:
    write(tmp_path, "parent", MINIMAL + "[train]\nepochs = 3\n")
    (fault,) = faults_of(write(tmp_path, "child", f'extends = "parent.toml"\n\n[{header}]\n'))
    assert (fault.key, fault.where) == (key, f"{tmp_path / 'child.toml'}:3:2")
    assert fault.message == f"an empty table changes nothing: what is there stays. {fault.message.partition('. ')[2]}"
    assert fault.message.endswith(instead)


def test_an_empty_table_in_a_file_is_well_where_nothing_is_there(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL)
    loaded = load(write(tmp_path, "child", 'extends = "parent.toml"\n[train]\n[losses.relational]\n'))
    assert list(loaded.recipe.losses) == ["contrast", "relational"]


def test_an_empty_table_in_a_flag_adds_a_loss(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "small", MINIMAL.replace("[losses.contrast]\n", "")), "losses.contrast={}")
    assert list(loaded.recipe.losses) == ["contrast"]


def test_of_two_flags_for_one_key_the_last_counts(tmp_path: Path) -> None:
    assert load(write(tmp_path, "small", MINIMAL), "train.seed=1", "train.seed=2").recipe.train.seed == 2


RICH = (
    MINIMAL
    + """\
low = 0.01
[quantizer]
kind = "codes"
codes = 12
[losses.other]
kind = "relational"
weight = 0.0
[train]
clip_norm = 0.5
[watch.baseline]
data = "0123abcd"
figures = { "val.retrieval.mrr" = 0.35 }
name = "by hand"
[watch.early_stop]
metric = "val.retrieval.mrr"
patience = 3
[[watch.must]]
id = "a"
when = "mean(vq.usage, 5) > 0.1"
hold = "always"
after_epoch = 1
[[watch.rollback]]
id = "b"
when = "fired('c')"
use = "sibling"
[[watch.abort]]
id = "c"
when = "moved.other > baseline.loss.other.raw"
for = 2
"""
)


def test_the_resolved_recipe_loads_to_an_equal_one_anywhere(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write(tmp_path, "sibling", MINIMAL)
    loaded = load(write(tmp_path, "rich", RICH), "train.seed=7")
    text = recipe_to_toml(loaded.table) + '\n[[metrics]]\nname = "lr"\ndoc = "learning rate"\nbetter = "neither"\n'
    again = load(write(tmp_path / "run", "recipe", text))
    assert again.recipe == loaded.recipe
    assert recipe_difference(again.table, loaded.table) == ()


def test_the_resolved_recipe_has_every_default_filled_in(tmp_path: Path) -> None:
    table = load(write(tmp_path, "small", MINIMAL)).table
    assert table["aggregator"] == {"kind": "mean"}
    assert table["losses"]["contrast"] == {"kind": "contrast", "weight": 1.0, "low": 0.05, "high": 0.2}
    assert table["train"]["batch_size"] == 256
    assert "clip_norm" not in table["train"]
