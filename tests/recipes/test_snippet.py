"""What `jepa plugins show` prints for a recipe is a recipe's: of every component that is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from jepa_core.commands.plugins import show
from jepa_core.commands.recipe import check
from jepa_core.metrics import Metric
from jepa_core.recipes.snippet import snippet
from jepa_core.registry import Component, installed
from jepa_core.settings import setting
from tests.conftest import VECTORS

COMPONENTS = list(installed().components.values())
BASES = {"grid": "quickstart", "image": "digits", "series": "series", "vector": "vectors.toml"}
"""Recipes whose other parts fit, by the kind of space."""


def kind_of_space(component: Component) -> str:
    owner = component.config_class
    spaces = getattr(owner, "spaces", None) or (getattr(owner, "space", None),)
    if component.name == "arrays":
        return "image"
    return next((space.kind for space in spaces if space is not None), "grid")


def printed_snippet(capsys: pytest.CaptureFixture[str], component: Component) -> str:
    show(component.name, family=component.family)
    _, _, after = capsys.readouterr().out.partition("in a recipe")
    return "\n".join(line.strip() for line in after.splitlines()[1:])


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: f"{component.family}-{component.name}")
def test_what_is_printed_for_a_recipe_is_accepted_in_one(
    component: Component, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed_snippet(capsys, component)
    assert tomllib.loads(text)
    (tmp_path / "vectors.toml").write_text(VECTORS.format(path=tmp_path / "x.npz"))
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'extends = "{BASES[kind_of_space(component)]}"\n\n{text}\n')
    assert check(str(recipe)) == 0, capsys.readouterr()


@attrs.frozen(kw_only=True)
class NeedyConfig:
    """Has fields without a default."""

    kind: ClassVar[str] = "needy"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    path: str = setting("where")
    share: float = setting("how much", above=0, below=1)
    number: int = setting("how many", at_least=3)
    way: str = setting("which", choices=("up", "down"))
    given: int = setting("has a default", default=3)

    def build(self, _facts: Any) -> Any: ...


def test_fields_that_have_to_be_given_stand_there_with_values_that_they_may_have() -> None:
    component = attrs.evolve(COMPONENTS[0], family="observer", name="needy", config_class=NeedyConfig)
    written: dict[str, Any] = tomllib.loads("\n".join(snippet(component)))["observers"]["needy"]
    assert written.keys() == {"path", "share", "number", "way"}
    NeedyConfig(**written)
