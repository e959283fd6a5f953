"""Which observations a recipe's parts take, and the augmentations that it lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.errors import JepaError
from jepa_core.recipes.reading import LoadedRecipe, load_recipe
from jepa_core.recipes.structuring import recipe_table
from jepa_core.registry import installed
from jepa_plugins.grids.augmentations import DihedralConfig, EnlargeConfig
from tests.recipes.writing_recipes import write

TEXT = """\
[data]
kind = "{data}"
[encoder]
kind = "{encoder}"
{more}
[losses.info_nce]
"""


def loaded(tmp_path: Path, data: str, encoder: str, more: str = "") -> LoadedRecipe:
    path = write(tmp_path, "paired", TEXT.format(data=data, encoder=encoder, more=more))
    return load_recipe(path, registry=installed())


@pytest.mark.parametrize(
    ("data", "encoder"), [("traces", "cells"), ("moving_digits", "vit"), ("series_demo", "series"), ("arc", "objects")]
)
def test_an_encoder_takes_the_observations_that_it_names(tmp_path: Path, data: str, encoder: str) -> None:
    assert loaded(tmp_path, data, encoder).recipe.encoder.kind == encoder


@pytest.mark.parametrize(
    ("data", "encoder", "told"),
    [
        ("moving_digits", "cells", r'cells takes grids, and data\.kind = "moving_digits" gives images'),
        ("traces", "vit", r'vit takes images, and data\.kind = "traces" gives grids'),
        ("series_demo", "mlp", r'mlp takes vectors, and data\.kind = "series_demo" gives series'),
    ],
)
def test_others_are_refused_at_their_line_with_those_that_do(
    tmp_path: Path, data: str, encoder: str, told: str
) -> None:
    with pytest.raises(JepaError, match=told) as refused:
        loaded(tmp_path, data, encoder)
    assert "paired.toml:4:8" in str(refused.value)
    assert "there is: " in str(refused.value)


def test_an_augmentation_or_a_loss_of_other_observations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match=r"colours takes grids, and data\.kind") as refused:
        loaded(tmp_path, "moving_digits", "vit", "[augmentation.colours]\n[augmentation.shift]\n[losses.invariance]")
    assert "invariance takes grids" in str(refused.value)
    assert "shift takes" not in str(refused.value)
    switched_off = loaded(tmp_path, "moving_digits", "vit", "[augmentation.colours]\nenabled = false").recipe
    assert not switched_off.augmentation["colours"].enabled


def test_a_loss_that_names_augmentations_finds_them_in_the_recipe_and_of_its_space(tmp_path: Path) -> None:
    named = '[augmentation.{0}]\nenabled = false\n[losses.view_contrast]\naugmentations = ["{1}"]'
    recipe = loaded(tmp_path, "moving_digits", "vit", named.format("shift", "shift")).recipe
    assert list(recipe.used_augmentations) == ["shift"]
    with pytest.raises(
        JepaError, match=r"no \[augmentation\.shfit\] in this recipe\. Did you mean \"shift\""
    ) as refused:
        loaded(tmp_path, "moving_digits", "vit", named.format("shift", "shfit"))
    assert "paired.toml" in str(refused.value)
    with pytest.raises(JepaError, match="colours takes grids"):
        loaded(tmp_path, "moving_digits", "vit", named.format("colours", "colours"))


@pytest.mark.parametrize("more", ["", "[augmentation.shift]\nenabled = false\n"])
def test_a_loss_that_looks_through_all_augmentations_needs_one_that_is_enabled(tmp_path: Path, more: str) -> None:
    with pytest.raises(JepaError, match="and this recipe enables none") as refused:
        loaded(tmp_path, "moving_digits", "vit", more + "[losses.view_contrast]")
    assert "paired.toml" in str(refused.value)
    loaded(tmp_path, "moving_digits", "vit", "[augmentation.shift]\n[losses.view_contrast]")


def test_arrays_give_what_they_are_said_or_seen_to_hold(tmp_path: Path) -> None:
    more = 'observed_as = "series"'
    text = TEXT.format(data="arrays", encoder="series", more="").replace('"arrays"\n', f'"arrays"\n{more}\n')
    assert load_recipe(write(tmp_path, "own", text), registry=installed()).recipe.encoder.kind == "series"
    with pytest.raises(JepaError, match="cells takes grids"):
        load_recipe(write(tmp_path, "own", text.replace('"series"\n\n', '"cells"\n\n')), registry=installed())


@pytest.mark.parametrize(
    "written",
    [
        "[augmentation]\ndihedral = true\nenlarge = 0.3\ncolours = false",
        "[augmentation.dihedral]\n[augmentation.enlarge]\nshare = 0.3\n[augmentation.colours]\nenabled = false",
    ],
)
def test_true_false_and_a_number_are_short_for_tables(tmp_path: Path, written: str) -> None:
    recipe = loaded(tmp_path, "traces", "cells", written).recipe
    assert list(recipe.augmentation) == ["dihedral", "enlarge", "colours"]
    configs = [entry.config for entry in recipe.augmentation.values() if entry.enabled]
    assert configs == [DihedralConfig(), EnlargeConfig(share=0.3)]
    table = recipe_table(recipe)["augmentation"]
    assert table["enlarge"] == {"kind": "enlarge", "enabled": True, "share": 0.3}
    assert table["colours"] == {"kind": "colours", "enabled": False}


def test_a_resolved_recipe_of_before_reads_as_it_did(tmp_path: Path) -> None:
    before = (
        "[augmentation]\ncolours = true\ndihedral = false\ntranslation = false\nenlarge = 0.0\noutputs = 0\nwrap = true"
    )
    recipe = loaded(tmp_path, "traces", "cells", before).recipe
    assert [name for name, entry in recipe.augmentation.items() if entry.enabled] == ["colours", "wrap"]


def test_what_is_no_augmentation_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match=r'no augmentation of this name\. Did you mean "dihedral"'):
        loaded(tmp_path, "traces", "cells", "[augmentation]\ndihedrl = true")
    with pytest.raises(JepaError, match=r"expected a table \[augmentation\.dihedral\], got"):
        loaded(tmp_path, "traces", "cells", '[augmentation]\ndihedral = "yes"')


def test_a_number_for_an_augmentation_without_a_share_is_refused_for_that(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match="a number is short for a share, and dihedral has none"):
        loaded(tmp_path, "traces", "cells", "[augmentation]\ndihedral = 0.5")


def test_a_share_of_too_many_digits_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match=r"augmentation\.outputs\.share[\s\S]*, got the number 1000"):
        loaded(tmp_path, "traces", "cells", f"[augmentation]\noutputs = 1{'0' * 400}")
