"""Recipes as files, and what reading them says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.recipes.faults import Fault, RecipeFaultsError
from jepa_core.recipes.reading import LoadedRecipe, load_recipe
from tests.recipes.small_registry import small_registry

MINIMAL = """\
[data]
kind = "grids"

[encoder]
kind = "cells"

[losses.contrast]
"""


def write(folder: Path, name: str, text: str) -> Path:
    """A file `name.toml` with the text."""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path, *overrides: str) -> LoadedRecipe:
    """The recipe, with the small registry."""
    return load_recipe(path, overrides=overrides, registry=small_registry())


def faults_of(path: Path, *overrides: str) -> tuple[Fault, ...]:
    """Everything wrong with a recipe that has to be wrong."""
    with pytest.raises(RecipeFaultsError) as caught:
        load(path, *overrides)
    return caught.value.faults


def only_fault(path: Path, *overrides: str) -> Fault:
    """The single thing that is wrong."""
    (fault,) = faults_of(path, *overrides)
    return fault


def report_of(path: Path, *overrides: str) -> str:
    """The whole report about a recipe that has to be wrong."""
    with pytest.raises(RecipeFaultsError) as caught:
        load(path, *overrides)
    return str(caught.value)
