"""The JSON Schema says of recipes what reading them says, as far as one file can be judged by itself."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from jepa_core.recipes.json_schema import recipe_schema
from tests.recipes.small_registry import small_registry
from tests.recipes.test_reading import RICH
from tests.recipes.writing_recipes import MINIMAL, load, write

SCHEMA = recipe_schema(small_registry())


def is_valid(table: dict[str, Any]) -> bool:
    """Whether the schema of the small registry accepts it."""
    return Draft202012Validator(SCHEMA).is_valid(table)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_recipes_in_order_are_valid_resolved_ones_too(tmp_path: Path) -> None:
    write(tmp_path, "sibling", MINIMAL)
    assert is_valid(tomllib.loads(MINIMAL))
    assert is_valid(tomllib.loads(RICH))
    assert is_valid({**load(write(tmp_path, "rich", RICH)).table, "metrics": [{"name": "lr"}]})


@pytest.mark.parametrize(
    "text",
    [
        'extends = "a.toml"',
        'extends = "a.toml"\n[aggregator]\nheads = 3',
        'extends = "a.toml"\n[losses.mine]\nweight = 3',
        'extends = "a.toml"\n[losses.contrast]\nkind = "relational"\ncontext_self_weight = 1',
    ],
)
def test_a_child_leaves_out_what_its_parent_says(text: str) -> None:
    assert is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        MINIMAL.replace("[losses.contrast]", ""),
        MINIMAL + "heads = 3",
        MINIMAL + "weight = -1",
        MINIMAL + 'kind = "contrst"',
        MINIMAL + "[losses.total]",
        MINIMAL + "[trian]",
        MINIMAL + '[train]\nepochs = "3"',
        MINIMAL + "[train]\nepochs = 0",
        MINIMAL + '[train]\nprecision = "fp8"',
        MINIMAL + "[optimizer]\nlr = 0",
        MINIMAL + '[aggregator]\nkind = "mean"\nheads = 2',
        MINIMAL + '[[watch.must]]\nid = "a"',
        MINIMAL + '[[watch.abort]]\nid = "a"\nwhen = "lr > 1"\nevaluations = 3',
        MINIMAL.replace('"cells"', '"cells"\ncorner = [1]'),
        MINIMAL.replace('"cells"', '"cells"\nlevels = [1]'),
        MINIMAL.replace('"cells"', '"cells"\nshifts = [{ wrap = true }]'),
        MINIMAL.replace('"cells"', '"cells"\nlimit = 1.5'),
        MINIMAL.replace('"cells"', '"cells"\nnames = { a = "b" }'),
    ],
)
def test_faulty_recipes_are_not_valid(text: str) -> None:
    assert not is_valid(tomllib.loads(text))


def test_fields_carry_meaning_unit_default_and_range() -> None:
    assert SCHEMA["$defs"]["dataset.grids"]["properties"]["context_length"] == {
        "type": "integer",
        "minimum": 1,
        "default": 3,
        "description": "grids before the target (grids)",
    }
    assert SCHEMA["$defs"]["quantizer.codes"]["properties"]["decay"]["exclusiveMaximum"] == 1
    assert SCHEMA["$defs"]["dataset.grids"]["description"] == "Grids from a file."
