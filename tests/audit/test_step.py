"""What a step is like: clipping, bounds, padding, and what a run costs beside a sum by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.audit.bench import Bench
from jepa_core.audit.report import StepFigures
from jepa_core.audit.step_audit import audit_step, step_findings
from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.affordable import host_memory
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.watch.findings import Finding
from tests.audit.recipes import COMPUTE, data_of, dataset_like
from tests.conftest import TINY

RecipeMaker = Callable[..., Recipe]

FIGURES = StepFigures(
    grad_norms=(1.0, 1.0, 1.0),
    clip_norm=None,
    padding=0.0,
    temperatures={},
    seconds=0.1,
    total_steps=100,
    memory_gib=0.5,
    measured="by a clock",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return load_recipe(path, registry=installed()).recipe


def found(recipe: Recipe, **changes: Any) -> list[Finding]:
    return list(step_findings(attrs.evolve(FIGURES, **changes), recipe))


def test_a_step_that_rests_has_no_finding(recipe: Recipe) -> None:
    assert found(recipe, clip_norm=2.0, temperatures={"info_nce": (0.07, 0.05, 0.2)}) == []


@given(limit=st.floats(1e-3, 1e3), norms=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3))
def test_clipping_is_told_when_no_step_escapes_it_and_the_advice_lets_a_usual_one_through(
    recipe: Recipe, limit: float, norms: list[float]
) -> None:
    findings = found(recipe, clip_norm=limit, grad_norms=tuple(norms))
    assert [finding.name for finding in findings] == ["clipping saturated"] * (min(norms) > limit)
    for finding in findings:
        assert finding.set["train"]["clip_norm"] > max(limit, sorted(norms)[1])


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_refused_and_so_not_clipped(recipe: Recipe, norm: float) -> None:
    (finding,) = found(recipe, clip_norm=0.1, grad_norms=(norm, 1.0, norm))
    assert (finding.name, finding.severity) == ("gradient not finite", "critical")
    assert "not finite in 2 of 3 measured steps" in finding.message
    (everywhere,) = found(recipe, clip_norm=0.1, grad_norms=(norm, norm, norm))
    assert "not finite in 3 of 3 measured steps" in everywhere.message


@pytest.mark.parametrize(
    ("temperature", "bound"), [(0.05, "0.05"), (0.0504, "0.05"), (0.199, "0.2"), (0.052, None), (0.19, None)]
)
def test_a_temperature_at_its_bound_is_told_with_one_between_both(
    recipe: Recipe, temperature: float, bound: str | None
) -> None:
    findings = found(recipe, temperatures={"info_nce": (temperature, 0.05, 0.2)})
    assert [f"at its bound {bound}." in finding.message for finding in findings] == ([True] if bound else [])
    for finding in findings:
        assert finding.set == {"losses": {"info_nce": {"temperature": pytest.approx(0.1)}}}


def test_a_temperature_that_is_fixed_is_at_no_bound(recipe: Recipe) -> None:
    assert found(recipe, temperatures={"info_nce": (0.1, 0.1, 0.1)}) == []


@pytest.mark.parametrize(("share", "told"), [(0.9, []), (0.95, ["95 % of the context tokens are padding."])])
def test_batches_of_padding_are_told(recipe: Recipe, share: float, told: list[str]) -> None:
    assert [finding.message for finding in found(recipe, padding=share)] == told


@pytest.mark.parametrize(("batch_size", "accumulate"), [(16, 1), (2, 8)])
def test_where_memory_does_not_suffice_the_same_step_is_cut_in_smaller_pieces(
    tiny_recipe: RecipeMaker, batch_size: int, accumulate: int
) -> None:
    recipe = tiny_recipe(f"train.batch_size={batch_size}", f"train.accumulate={accumulate}")
    (finding,) = found(recipe, memory_gib=math.inf, seconds=math.nan)
    change = finding.set["train"]
    assert finding.severity == "critical"
    assert change["batch_size"] * change["accumulate"] == batch_size * accumulate
    assert change["batch_size"] < batch_size


def test_memory_beyond_the_computers_is_told_with_the_batch_that_fits(tiny_recipe: RecipeMaker) -> None:
    there = host_memory() / 2**30
    recipe = tiny_recipe("train.batch_size=64", "train.accumulate=2")
    assert found(recipe, memory_gib=0.99 * there) == []
    (finding,) = found(recipe, memory_gib=3 * there)
    assert (finding.name, finding.severity) == ("out of memory", "critical")
    assert finding.message == (
        f"A micro-batch of 64 sequences takes about {3 * there:,.1f} GiB, and this computer has {there:,.1f} GiB."
    )
    assert finding.set == {"train": {"batch_size": 16, "accumulate": 8}}
    (hopeless,) = found(recipe, memory_gib=100 * there)
    assert hopeless.set == {}


def test_what_a_forward_pass_keeps_is_what_steps_keep(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("quantizer.kind=none", "losses.info_nce.queue=0")
    dataset = data_of(recipe)
    stepped, weighed = (Bench(recipe, dataset, COMPUTE, sequences=8, initial_sequences=0) for _ in range(2))
    stepped.record()
    weighed.encode(1)
    weighed.weigh()
    assert weighed.saved_bytes == pytest.approx(stepped.saved_bytes, rel=0.02)


def test_a_batch_of_one_that_does_not_fit_is_not_advised_to_be_none(tiny_recipe: RecipeMaker) -> None:
    (finding,) = found(tiny_recipe("train.batch_size=1"), memory_gib=math.inf)
    assert finding.set == {}
    assert "smaller" in finding.advice


def measured(recipe: Recipe, sequences: int) -> tuple[Bench, StepFigures]:
    dataset = data_of(recipe)
    bench = Bench(recipe, dataset, COMPUTE, sequences=sequences)
    bench.record()
    return bench, audit_step(bench, recipe, dataset, COMPUTE, bench.first_outcome())


def test_memory_is_weights_with_gradient_and_moments_the_target_activations_and_data(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    bench, figures = measured(recipe, 8)
    online = bench.start.online
    trained = [bench.memory.encoder, online.quantizer, online.aggregator, online.predictor, online.projector]
    num_trained = sum(p.numel() for module in (*trained, bench.start.losses) for p in module.parameters())
    num_target = sum(p.numel() for module in (bench.memory.encoder, online.projector) for p in module.parameters())
    data = data_of(recipe)
    num_data = sum(
        tensor.nbytes for split in (data.train, data.validation) for tensor in split.observations.tensors.values()
    )
    floats = 4 * num_trained + num_target  # weight, gradient, two moments; the target has weights alone
    expected = 4 * floats + 2 * bench.saved_bytes + num_data  # batches of 16 sequences, measured on 8
    assert figures.memory_gib * 2**30 == pytest.approx(expected)


def test_memory_estimated_from_small_batches_is_that_of_whole_ones(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("data.num_sequences=200", "quantizer.kind=none", "losses.info_nce.queue=0")
    small, whole = (measured(recipe, sequences)[1].memory_gib for sequences in (4, 16))
    assert small == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 12), (2, 6), (4, 3)])
def test_a_run_has_as_many_steps_as_its_batches_make_and_each_costs_what_it_accumulates(
    tiny_recipe: RecipeMaker, accumulate: int, steps: int
) -> None:
    bench, figures = measured(tiny_recipe("train.epochs=2", f"train.accumulate={accumulate}"), 8)
    assert figures.total_steps == steps  # 96 sequences are 6 batches of 16
    assert figures.seconds == pytest.approx(2 * accumulate * min(step.seconds for step in bench.steps))
    assert figures.run_seconds == pytest.approx(figures.seconds * steps)


def test_norms_and_temperature_are_those_of_the_steps(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe("losses.info_nce.temperature=0.1", "train.clip_norm=0.5")
    bench, figures = measured(recipe, 8)
    assert figures.grad_norms == tuple(step.figures["grad.norm"] for step in bench.steps)
    assert figures.clip_norm == 0.5
    value, low, high = figures.temperatures["info_nce"]
    assert (low, high) == (0.05, 0.2)
    assert value == pytest.approx(0.1, rel=0.05)
    assert set(figures.temperatures) == {"info_nce"}


def test_padding_is_the_share_of_patches_beyond_a_grids_content(tiny_recipe: RecipeMaker) -> None:
    recipe = tiny_recipe()
    dataset = data_of(recipe)
    corner = _cropped(dataset.train, 3)
    dataset = dataset_like(dataset, corner, corner)
    bench = Bench(recipe, dataset, COMPUTE, sequences=8)
    bench.record()
    figures = audit_step(bench, recipe, dataset, COMPUTE, bench.first_outcome())
    # Patches of 3 × 3 on arrays of 8 × 8 make 9 tokens, one of which holds the content of 3 × 3 cells.
    assert figures.padding == pytest.approx(8 / 9)


def _cropped(sequences: Sequences, side: int) -> Sequences:
    """Grids of the top left cells alone."""
    grids, sizes = sequences.observations["grid"].clone(), torch.full_like(sequences.observations["size"], side)
    outside = 10
    grids[..., side:, :] = outside
    grids[..., :, side:] = outside
    return Sequences(observations=Observations({"grid": grids, "size": sizes}), tasks=sequences.tasks)
