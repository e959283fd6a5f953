from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from jepa_core.ablation.recipe_check import GridRequest, load_grid
from jepa_core.ablation.variation import parse_variations
from jepa_core.errors import DeviceError, RecipeError
from jepa_core.recipes.faults import Fault, RecipeFaultsError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed


def a_request(
    recipe: Path, *vary: str, overrides: tuple[str, ...] = (), metric: str = "val.retrieval.mrr"
) -> GridRequest:
    variations = parse_variations(vary, overrides)
    return GridRequest(recipe=str(recipe), overrides=overrides, variations=variations, metric=metric, devices=("cpu",))


def faults_of(request: GridRequest) -> tuple[Fault, ...]:
    with pytest.raises(RecipeFaultsError) as refused:
        load_grid(request)
    return refused.value.faults


def test_the_cells_recipes_are_those_of_the_flags(tiny_recipe_file: Path, tmp_path: Path) -> None:
    checked = load_grid(a_request(tiny_recipe_file, "aggregator.kind=mean,attention", overrides=("train.epochs=4",)))
    written = tmp_path / "cell.toml"
    for text, kind in zip(checked.recipes, ("mean", "attention"), strict=True):
        written.write_text(text)
        flags = ("train.epochs=4", f"aggregator.kind={kind}")
        registry = installed()
        cell = load_recipe(written, registry=registry).recipe
        assert cell == load_recipe(tiny_recipe_file, overrides=flags, registry=registry).recipe
    assert (checked.name, checked.seed, checked.metric.better) == ("tiny", 3, "higher")


def test_the_fingerprint_follows_what_is_trained(tiny_recipe_file: Path) -> None:
    request = a_request(tiny_recipe_file, "aggregator.kind=mean,attention")
    first = load_grid(request).fingerprint
    tiny_recipe_file.write_text(tiny_recipe_file.read_text() + "\n# a remark\n")
    assert load_grid(request).fingerprint == first
    assert load_grid(attrs.evolve(request, overrides=("train.epochs=2",))).fingerprint != first
    assert load_grid(a_request(tiny_recipe_file, "aggregator.kind=mean,last")).fingerprint != first


def test_the_faults_of_all_cells_are_told_together_each_at_its_flag(tiny_recipe_file: Path) -> None:
    request = a_request(
        tiny_recipe_file,
        "aggregator.kind=mean,atention",
        "optimizer.lr=x,0.1,y",
        "train.bach_size=1,2",
        overrides=("train.epochs=0",),
    )
    told = {(fault.where, fault.message.split(".")[0]) for fault in faults_of(request)}
    assert told == {
        ("--vary aggregator.kind=mean,atention", "no aggregator of this name"),
        ("--vary optimizer.lr=x,0.1,y", 'expected a number > 0, got the text "x"'),
        ("--vary optimizer.lr=x,0.1,y", 'expected a number > 0, got the text "y"'),
        ("--vary train.bach_size=1,2", "no field of this name in train"),
        ("--set train.epochs=0", "expected a whole number ≥ 1, got the number 0"),
    }


def test_a_weight_of_a_loss_that_the_recipe_has_not_is_refused(tiny_recipe_file: Path) -> None:
    (fault,) = faults_of(a_request(tiny_recipe_file, "losses.relational.weight=0.02,0.025"))
    assert fault.message == "the recipe has no table losses.relational."
    assert "to add it: --set losses.relational.kind=relational" in fault.notes
    added = ("losses.relational.kind=relational",)
    assert load_grid(a_request(tiny_recipe_file, "losses.relational.weight=0.02,0.025", overrides=added)).recipes


def test_a_misspelt_loss_is_told_once_with_the_right_name(tiny_recipe_file: Path) -> None:
    (fault,) = faults_of(a_request(tiny_recipe_file, "losses.sigregg.weight=0.1,0.2"))
    assert 'Did you mean "sigreg"?' in fault.message


def test_two_texts_of_one_value_are_refused(tiny_recipe_file: Path) -> None:
    (fault,) = faults_of(a_request(tiny_recipe_file, "optimizer.lr=1e-3,0.001"))
    assert fault.message == "1e-3 and 0.001 give the same recipe: leave one out"


def test_a_metric_that_no_cell_reports_is_refused(tiny_recipe_file: Path) -> None:
    request = a_request(tiny_recipe_file, "aggregator.kind=mean,attention", metric="val.retrieval.mmr")
    assert 'Did you mean "val.retrieval.mrr"?' in faults_of(request)[0].message


@pytest.mark.parametrize(
    ("judge", "metric", "better"),
    [
        ((), "val.retrieval.mrr", "higher"),
        (("watch.judge=['loss.sigreg.raw','val.retrieval.mrr']",), "loss.sigreg.raw", "lower"),
        (("watch.judge=['vq.usage']",), "vq.usage", "higher"),
    ],
)
def test_the_first_that_the_recipe_is_judged_by_is_the_metric_unless_told(
    tiny_recipe_file: Path, judge: tuple[str, ...], metric: str, better: str
) -> None:
    request = a_request(tiny_recipe_file, "aggregator.kind=mean,attention", overrides=judge, metric="")
    chosen = load_grid(request).metric
    assert (chosen.name, chosen.better) == (metric, better)
    assert load_grid(attrs.evolve(request, metric="lr")).metric.name == "lr"


def test_a_device_that_is_not_there_is_found_before_anything_runs(tiny_recipe_file: Path) -> None:
    request = attrs.evolve(a_request(tiny_recipe_file, "aggregator.kind=mean,attention"), devices=("cuda:99",))
    with pytest.raises(DeviceError):
        load_grid(request)


def test_a_value_by_which_nothing_could_be_trained_is_found_before_anything_runs(tiny_recipe_file: Path) -> None:
    with pytest.raises(RecipeError, match=r"projector.dim = 100000000000 takes .* Make it smaller"):
        load_grid(a_request(tiny_recipe_file, "projector.dim=8,100000000000"))
