"""A level but noisy figure fires nothing, whatever the noise; a level that is left fires within a few rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_core.recipes.declared_metrics import declared_metrics
from jepa_core.recipes.reading import load_recipe, with_scenarios
from jepa_core.registry import installed
from jepa_core.watch.judge import Judge
from jepa_core.watch.rules import Watch

Draw = np.random.Generator
Values = np.ndarray[Any, np.dtype[np.float64]]
Noise = Callable[[Draw, int], Values]

_REGISTRY = installed()
_LOADED = load_recipe(Path(__file__).parents[2] / "recipes" / "optimized.toml", registry=_REGISTRY)
RECIPE = with_scenarios(_LOADED, _REGISTRY).recipe
LEVELS = Watch(
    scenario=tuple(
        rule
        for rule in RECIPE.watch.scenario
        if rule.of in ("loss_explodes", "level_left", "loss_takes_over", "validation_degrades", "codebook_slide")
        or rule.of in ("codebook_shock", "codebook_collapse", "rank_collapse", "throughput_dropped", "lr_at_floor")
    )
)
METRICS = declared_metrics(RECIPE)


def fired(rows: list[dict[str, float]]) -> dict[str, float]:
    """Id → the step at which it fired."""
    judge = Judge(LEVELS, METRICS)
    return {firing.name: row["step"] for row in rows for firing in judge.observe(row)}


def correlated(draw: Draw, count: int) -> Values:
    values = draw.standard_normal(count)
    for row in range(1, count):
        values[row] = 0.8 * values[row - 1] + 0.6 * values[row]
    return values


NOISES: dict[str, Noise] = {
    "normal": lambda draw, count: draw.standard_normal(count),
    "heavy tails": lambda draw, count: draw.standard_t(4, count) / 2**0.5,
    "two-sided exponential": lambda draw, count: draw.laplace(size=count) / 2**0.5,
    "skewed": lambda draw, count: np.exp(0.5 * draw.standard_normal(count)) - np.exp(0.125),
    "neighbours alike": correlated,
    "alternating": lambda draw, count: (-1.0) ** np.arange(count) + 0.2 * draw.standard_normal(count),
    "rare outliers": lambda draw, count: 0.5 * draw.standard_normal(count) + 6 * (draw.random(count) < 0.005),
    "slow waves": lambda draw, count: np.sin(np.arange(count) / 8) + 0.2 * draw.standard_normal(count),
    "rounded": lambda draw, count: np.round(2 * draw.standard_normal(count)) / 2,
    "none": lambda _, count: np.zeros(count),
}


def scattered(draw: Draw, noise: Noise, level: float, scatter: float, count: int) -> Values:
    """Values about a level, with a standard deviation of `scatter` of it."""
    return level * np.maximum(1 + scatter * noise(draw, count), 0.05)


@pytest.mark.parametrize("scatter", [0.02, 0.17])
@pytest.mark.parametrize("kind", sorted(NOISES))
def test_noise_about_a_level_fires_nothing(kind: str, scatter: float) -> None:
    for seed in range(3):
        draw, noise, count = np.random.default_rng(seed), NOISES[kind], 360
        terms = {"info_nce": 1.0, "relational": 0.3, "sigreg": 0.2}
        losses = {name: scattered(draw, noise, level, scatter, count) for name, level in terms.items()}
        norms = scattered(draw, noise, 6.0, 2 * scatter, count)
        rates = scattered(draw, noise, 1000.0, scatter / 2, count)
        validations = {
            # A mean over the split scatters less than one over a batch.
            "val.loss.total": scattered(draw, noise, 1.4, scatter / 2, 60),
            "val.retrieval.mrr": scattered(draw, noise, 0.3, scatter / 4, 60),
            # Measured on thousands of embeddings.
            "vq.usage": scattered(draw, noise, 0.3, scatter / 2, 60),
            "rank.context": scattered(draw, noise, 9.0, scatter / 2, 60),
        }
        rows: list[dict[str, float]] = []
        for row in range(count):
            step = 5.0 * (row + 1)
            of_row = {f"loss.{name}": float(values[row]) for name, values in losses.items()}
            total = sum(of_row.values())
            rows.append({"step": step, "epoch": step / 30, "loss.total": total, "grad.norm": float(norms[row])})
            rows[-1] |= {**of_row, "throughput.samples_per_second": float(rates[row])}
            if row % 6 == 5 and row // 6 < 60:
                at = {name: float(values[row // 6]) for name, values in validations.items()}
                rows.append({"step": step, "epoch": step / 30, **at})
        assert fired(rows) == {}, f"{kind}, scatter {scatter}, seed {seed}"


def test_the_loss_of_a_small_batch_that_stays_at_its_level_does_not_spike() -> None:
    # As recorded on real tasks at batch 8: first row 1.51, quarter means 1.30, 1.21, 1.07 and 1.19, one row of 1.64.
    draw = np.random.default_rng(0)
    means = np.repeat([1.30, 1.21, 1.07, 1.19], 24)
    values = np.maximum(means + 0.22 * draw.standard_normal(96), 0.6)
    values[0], values[78], values[50] = 1.51, 1.64, 0.62
    rows = [{"step": 5.0 * (row + 1), "epoch": (row + 1) / 96, "loss.total": float(values[row])} for row in range(96)]
    assert fired(rows) == {}


def long_calm(rows_per_epoch: int, noise: Noise, seed: int = 0) -> list[dict[str, float]]:
    """The course of a recorded run of 80 epochs: after epoch 69 its relational loss goes from 0.35 to 1.10 within
    three epochs, and the gradient's norm from 6 to 81."""
    draw, count = np.random.default_rng(seed), 80 * rows_per_epoch
    epochs = (np.arange(count) + 1) / rows_per_epoch
    risen = np.clip((epochs - 69) / 3, 0, 1)
    start = 0.26 + (0.35 - 0.26) * np.clip(epochs / 30, 0, 1)
    relational = scattered(draw, noise, 1.0, 0.04, count) * np.where(risen > 0, 0.35 + 0.75 * risen, start)
    contrast = 7.87 + 1.2 * np.exp(-epochs / 6) + 0.02 * noise(draw, count)
    norms = scattered(draw, noise, 1.0, 0.2, count) * 6 * (81 / 6) ** risen
    return [
        {
            "step": float(round(48 * epochs[row])),
            "epoch": float(epochs[row]),
            "loss.total": float(contrast[row] + relational[row]),
            "loss.info_nce": float(contrast[row]),
            "loss.relational": float(relational[row]),
            "grad.norm": float(norms[row]),
        }
        for row in range(count)
    ]


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "neighbours alike", "none"])
@pytest.mark.parametrize("rows_per_epoch", [1, 5, 20])
def test_a_loss_that_leaves_a_long_calm_is_found_before_it_is_there(rows_per_epoch: int, kind: str) -> None:
    for seed in range(2):
        found = fired(long_calm(rows_per_epoch, NOISES[kind], seed))
        epochs = {name: step / 48 for name, step in found.items()}
        assert {"level_left.relational", "level_left.grad.norm"} <= set(epochs)
        assert min(epochs.values()) > 69, "nothing before it rises"
        in_time = max(72, 69 + 4 / rows_per_epoch)
        assert max(epochs["level_left.relational"], epochs["level_left.grad.norm"]) <= in_time


@pytest.mark.parametrize("start", [3, 12, 60])
def test_an_exploding_loss_is_critical_within_a_few_rows(start: int) -> None:
    draw = np.random.default_rng(1)
    calm = scattered(draw, NOISES["normal"], 4.0, 0.1, start)
    values = [*map(float, calm), *(4.0 * 2.5**row for row in range(1, 8))]
    rows = [
        {"step": 10.0 * (row + 1), "epoch": (row + 1) / 20, "loss.total": value} for row, value in enumerate(values)
    ]
    assert fired(rows)["loss_explodes.loss.total"] <= 10.0 * (start + 4)


def test_a_loss_learned_down_to_next_to_nothing_may_double() -> None:
    values = [4.0 * 0.8**row for row in range(40)] + [0.002, 0.003, 0.004] * 10
    rows = [{"step": 10.0 * (row + 1), "epoch": 2 + row / 20, "loss.total": value} for row, value in enumerate(values)]
    assert "loss_explodes.loss.total" not in fired(rows)
