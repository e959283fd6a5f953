"""A null that no model can be above is told before anything is trained beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core.audit.auditing import audit_recipe
from jepa_core.audit.brief import brief_audit
from jepa_core.engine.nulls import MeasuredNulls
from jepa_core.engine.retrieval import figures_of
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import installed
from jepa_core.watch.findings import Finding
from jepa_core.watch.nulls import NullFigures, RankedNulls
from tests.audit.recipes import COMPUTE, data_of

SERIES = """
name = "sines"
[data]
kind = "arrays"
path = "sines.npy"
length = 16
stride = 8
context_length = 3
validation_share = 0.4
[encoder]
kind = "series"
dim = 16
layers = 1
patch = 4
[aggregator]
kind = "mean"
[predictor]
kind = "identity"
[losses.info_nce]
temperature_min = 0.02
[optimizer]
lr = 1e-3
[train]
epochs = 1
batch_size = 8
"""


def sines(folder: Path, noise: float) -> Recipe:
    time = np.arange(1500)[:, None]
    values = np.sin(time * [0.11, 0.0371]) + noise * np.random.default_rng(0).normal(size=(1500, 2))
    np.save(folder / "sines.npy", values.astype(np.float32))
    (folder / "sines.toml").write_text(SERIES)
    return load_recipe(folder / "sines.toml", registry=installed()).recipe


def named(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.name == "null beyond reach"]


def test_both_audits_warn_of_a_series_that_a_null_continues_without_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = sines(tmp_path, noise=0.0)
    (found,) = named(audit_recipe(recipe, data_of(recipe), COMPUTE).findings)
    assert found.severity == "warning"
    assert found.message == (
        "The null continued, which learns nothing, finds every target (MRR 1.000): no model can be above it."
    )
    assert "longer windows" in found.advice
    assert named(brief_audit(recipe, data_of(recipe), COMPUTE, 60.0)) == [found]


def test_of_a_series_that_leaves_room_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = sines(tmp_path, noise=2.0)
    assert named(brief_audit(recipe, data_of(recipe), COMPUTE, 60.0)) == []


@pytest.mark.parametrize(
    ("num_missed", "said"),
    [
        (0, "continued, which learns nothing, finds every target (MRR 1.000): no model can be above it"),
        (1, "continued, which learns nothing, has MRR 0.995: a model that finds every target would not be above it"),
        (10, ""),
    ],
)
def test_the_limit_is_the_interval_of_a_model_that_finds_every_target(num_missed: int, said: str) -> None:
    ranks = torch.ones(100)
    ranks[:num_missed] = 2
    figures = figures_of(ranks)
    strongest = NullFigures(name="continued", mrr=figures.mrr, top1=figures.top1)
    measured = MeasuredNulls(ranked=RankedNulls(figures=(strongest,)), strongest_ranks=ranks)
    null = measured.with_room(torch.arange(100)).ranked.strongest
    assert null is not None
    assert null.beyond_reach.startswith(said)
    assert bool(null.beyond_reach) == bool(said)
    of_one_task = measured.with_room(torch.zeros(100)).ranked.strongest
    assert of_one_task is not None
    assert of_one_task.room == pytest.approx(1 - figures.mrr, abs=1e-6)
