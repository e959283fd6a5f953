"""`[observers.NAME]`: optional, named like losses, part of the resolved recipe and of the schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from jepa_core.presentation.recipe_view import recipe_view
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.json_schema import recipe_schema
from jepa_core.recipes.reading import LoadedRecipe, load_recipe
from jepa_core.recipes.writing import recipe_to_toml
from jepa_core.registry import Component, Registry
from jepa_core.settings import setting
from tests.recipes.small_registry import Built, small_registry
from tests.recipes.writing_recipes import MINIMAL, write


@attrs.frozen(kw_only=True)
class ChartsConfig(Built):
    """Draws charts."""

    kind = "charts"
    every: int = setting("rows between charts", default=1, at_least=1)


@attrs.frozen(kw_only=True)
class MailConfig(Built):
    """Writes letters."""

    kind = "mail"


def registry() -> Registry:
    small = small_registry()
    observers = {
        ("observer", config.kind): Component(
            family="observer", name=config.kind, config_class=config, distribution="jepa-charts", version="2.0"
        )
        for config in (ChartsConfig, MailConfig)
    }
    return attrs.evolve(small, components={**small.components, **observers})


def load(path: Path, *overrides: str) -> LoadedRecipe:
    return load_recipe(path, overrides=overrides, registry=registry())


def messages(path: Path, *overrides: str) -> str:
    """What is wrong with it."""
    with pytest.raises(RecipeFaultsError) as raised:
        load(path, *overrides)
    return str(raised.value)


def test_a_recipe_has_none_unless_it_says_so(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "plain", MINIMAL))
    assert loaded.recipe.observers == {}
    assert "observers" not in loaded.table


def test_its_kind_is_its_name_unless_it_says_otherwise(tmp_path: Path) -> None:
    text = MINIMAL + '[observers.charts]\nevery = 3\n[observers.second]\nkind = "charts"\n'
    observers = load(write(tmp_path, "watched", text)).recipe.observers
    assert {name: (entry.name, entry.config, entry.origin) for name, entry in observers.items()} == {
        "charts": ("charts", ChartsConfig(every=3), "jepa-charts 2.0"),
        "second": ("second", ChartsConfig(), "jepa-charts 2.0"),
    }


def test_the_resolved_recipe_reads_the_same(tmp_path: Path) -> None:
    first = load(write(tmp_path, "watched", MINIMAL + "[observers.charts]\n[observers.mail]\n"))
    assert first.table["observers"] == {"charts": {"kind": "charts", "every": 1}, "mail": {"kind": "mail"}}
    again = load(write(tmp_path, "again", recipe_to_toml(first.table)))
    assert again.recipe.observers == first.recipe.observers


def test_a_child_changes_the_fields_and_a_new_kind_drops_them(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + "[observers.charts]\nevery = 3\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n')
    assert load(child).recipe.observers["charts"].config == ChartsConfig(every=3)
    assert load(child, "observers.charts.every=5").recipe.observers["charts"].config == ChartsConfig(every=5)
    assert load(child, "observers.charts.kind=mail").recipe.observers["charts"].config == MailConfig()


def test_showing_a_recipe_shows_them(tmp_path: Path) -> None:
    console = Console(width=120)
    with console.capture() as shown:
        loaded = load(write(tmp_path, "watched", MINIMAL + "[observers.charts]\nevery = 3\n"))
        console.print(recipe_view(loaded, registry()))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert "[observers.charts] charts: Draws charts" in lines
    assert "every 3 rows between charts" in lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[observers.chart]", 'no observer of this name. Did you mean "charts"?'),
        ('[observers.mine]\nkind = "nothing"', "installed: charts (jepa-charts 2.0), mail (jepa-charts 2.0)"),
        ("[observers.charts]\nevery = 0", "expected a whole number ≥ 1, got the number 0"),
        ("[observers.charts]\nweight = 1.0", "no field of this name in observers.charts"),
        ('[observers.Mine]\nkind = "mail"', "an observer is named by at most 32 of a–z, 0–9 and _"),
        ("[observers]\ncharts = 3", "expected a table [observers.charts], got the number 3"),
    ],
)
def test_faults_are_told_at_their_place(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in messages(write(tmp_path, "faulty", MINIMAL + text))


def test_observers_that_are_no_tables_are_a_fault(tmp_path: Path) -> None:
    assert "expected tables such as [observers.NAME], got the number 3" in messages(
        write(tmp_path, "faulty", "observers = 3\n" + MINIMAL)
    )


def test_the_schema_has_them() -> None:
    schema: dict[str, Any] = recipe_schema(registry())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(tomllib.loads(MINIMAL + "[observers.charts]\nevery = 3\n"))
    assert validator.is_valid(tomllib.loads(MINIMAL + '[observers.mine]\nkind = "mail"\n'))
    assert not validator.is_valid(tomllib.loads(MINIMAL + "[observers.charts]\nevery = 0\n"))
    assert not Draft202012Validator(recipe_schema(small_registry())).is_valid(
        tomllib.loads(MINIMAL + "[observers.charts]\n")
    )
