"""The step that is timed is the trainer's own, and the reference step stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jepa_core.benchmarking import training_step
from jepa_core.benchmarking.results import Rates
from jepa_core.benchmarking.training_step import Effort, measured_step, timed_recipe, timed_step
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed

CPU = Compute(torch.device("cpu"), "fp32")
RATES = Rates(flop_per_s=1e12, number_format="fp32", bytes_per_s=1e10)
REFERENCE = Path(__file__).parents[2] / "benchmarks" / "reference_step.toml"


def test_a_step_is_measured_beside_its_floor(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    told: list[str] = []
    result = measured_step(recipe, built_dataset(recipe), CPU, RATES, is_quick=True, tell=told.append)
    launched, compiled = result.rows
    assert (launched.way, launched.ratio) == ("launched", 1.0)
    assert launched.ms
    assert launched.per_second == pytest.approx(16e3 / launched.ms)
    assert compiled.ms is None
    assert "train.compile=true" in compiled.note
    assert result.floor_ms
    assert told[0] == "step · tiny · launched"


def test_nothing_is_left_behind(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recipe = tiny_recipe()
    timed_step(recipe, built_dataset(recipe), CPU, Effort(warm_up=1, rounds=1, steps=1))
    assert list(tmp_path.iterdir()) == [tmp_path / "tiny.toml"]


def test_a_loss_of_weight_0_is_left_out_and_few_sequences_are_quick(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe("losses.sigreg.weight=0", "train.batch_size=32", "train.accumulate=2")
    assert set(recipe.losses) == {"info_nce", "sigreg"}
    assert set(timed_recipe(recipe).losses) == {"info_nce"}
    quick = timed_recipe(recipe, is_quick=True).train
    assert (quick.batch_size, quick.accumulate) == (training_step.FEW_SEQUENCES, 1)


def test_a_step_that_cannot_be_compiled_says_why(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        def call(*_: object) -> None:
            raise RuntimeError("no compiler here")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    recipe = tiny_recipe("train.compile=true")
    launched, compiled = measured_step(recipe, built_dataset(recipe), CPU, RATES).rows
    assert launched.ms
    assert compiled.ms is None
    assert compiled.note == "cannot be compiled: RuntimeError: no compiler here"


def test_the_reference_step_is_the_objective_of_seed_pairs_at_c707416() -> None:
    table = load_recipe(REFERENCE, registry=installed()).table
    losses = table["losses"]
    assert {name: (loss["weight"], loss.get("kind", name)) for name, loss in losses.items()} == {
        "info_nce": (1.0, "info_nce"),
        "relational": (0.02, "relational"),
        "sigreg": (0.1, "sigreg"),
        "invariance": (1.0, "invariance"),
    }
    assert (losses["info_nce"]["queue"], losses["sigreg"]["slices"]) == (8192, 1024)
    quantizer, train = table["quantizer"], table["train"]
    assert (quantizer["kind"], quantizer["codes"], quantizer["groups"]) == ("ema_vq", 768, 1)
    assert (train["batch_size"], train["accumulate"], table["optimizer"]["lr"]) == (512, 1, 5e-5)


def test_the_reference_step_has_its_parameters_and_sequences_for_4096() -> None:
    overrides = ["data.num_sequences=120", "train.batch_size=4", "quantizer.initial=data"]
    small = load_recipe(REFERENCE, overrides=overrides, registry=installed()).recipe
    with training_step._trainer(small, built_dataset(small), CPU) as trainer:
        assert sum(p.numel() for p in trainer.step.parameters.values()) == 3_955_853
    data = load_recipe(REFERENCE, registry=installed()).table["data"]
    assert data["num_sequences"] * (1 - data["validation_share"]) >= 2 * 4096
