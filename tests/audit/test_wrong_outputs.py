"""What a component wrongly returns while a recipe is audited: the component that made it is named, as a run does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.audit import bench
from jepa_core.audit.auditing import audit_recipe
from jepa_core.audit.brief import brief_audit
from jepa_core.engine.component_contract import require_contract
from jepa_core.engine.component_faults import ComponentError, component_faults_told
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import choose_compute
from jepa_core.engine.step import TrainingStep
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import Registry, installed
from tests.engine import test_component_faults
from tests.engine.test_component_faults import RETURNED, settings_of

registry = test_component_faults.registry
WRONG = [
    (family, fault, what)
    for family, fault, what in RETURNED
    if fault == "shape" or (family, fault) == ("quantizer", "dtype")
]


@pytest.mark.parametrize(("family", "fault", "what"), WRONG)
@pytest.mark.parametrize("audit", [audit_recipe, brief_audit])
def test_who_made_it_is_named(
    registry: Registry, tiny_recipe_file: Path, audit: Callable[..., object], *, family: str, fault: str, what: str
) -> None:
    recipe = load_recipe(tiny_recipe_file, overrides=settings_of(family, fault), registry=registry).recipe
    with pytest.raises(ComponentError) as caught, component_faults_told(recipe, registry):
        audit(recipe, built_dataset(recipe), choose_compute("cpu", "fp32"))
    first, _ = str(caught.value).split("\n", 1)
    assert first.startswith(f"{family} 'faulty' of jepa-faulty 0.3 {what.partition('(')[0]}"), first


def test_what_components_return_is_looked_at_once_an_audit(
    tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(tiny_recipe_file, registry=installed()).recipe
    looks: list[object] = []

    def look(training: TrainingStep) -> None:
        looks.append(training)
        require_contract(training)

    monkeypatch.setattr(bench, "require_contract", look)
    audit_recipe(recipe, built_dataset(recipe), choose_compute("cpu", "fp32"))
    assert len(looks) == 1
