"""What holds for losses alone: figures, views, a judgement of the whole set."""

from __future__ import annotations

import torch

from jepa_core.conformance.checks.augmentations import require_transform
from jepa_core.conformance.situations import PROJECTION_DIM
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import DeclaresTargetViews, DeclaresViews, JudgesWholeSet
from jepa_core.engine.seeds import seed_generators

_SETS = ((1, 1), (5, 3), (4, 9))
"""Predictions and candidates."""


def figures_declared(trial: Trial) -> None:
    """Figures are detached scalars that the configuration declares."""
    outputs = trial.outputs(trial.build())
    figures = {name.removeprefix("figure."): value for name, value in outputs.items() if name.startswith("figure.")}
    if not figures:
        raise NotApplicable("it gives no figures")
    declared = {metric.name for metric in trial.config.metrics}
    for name, value in figures.items():
        require(name in declared, f"the figure {name} is not among the configuration's metrics: declare it")
        require(value.shape == (), f"the figure {name} has the shape {tuple(value.shape)}, and is no scalar")
        require(not value.requires_grad, f"the figure {name} has a gradient: detach it")


def views_valid(trial: Trial) -> None:
    """Views are sequences of the space, the same under one seed, and leave the batch as it was."""
    loss = trial.build()
    of_batches = loss.views() if isinstance(loss, DeclaresViews) else {}
    of_targets = loss.target_views() if isinstance(loss, DeclaresTargetViews) else {}
    if not of_batches and not of_targets:
        raise NotApplicable("it declares no views")
    if trial.space is None and not of_batches:
        raise NotApplicable("it names no space: its views are what the recipe's augmentations make of any")
    require(trial.space is not None, "it declares views, and its configuration names no `spaces` that they are of")
    for name, transform in of_batches.items():
        require_transform(trial, transform, f"the view {name}")
    for name, transform in of_targets.items():
        require_transform(trial, transform, f"the view {name}", num_places=1)


def judges_any_set(trial: Trial) -> None:
    """A judgement of the whole set is a finite scalar, for any number of candidates."""
    loss = trial.build()
    if not isinstance(loss, JudgesWholeSet):
        raise NotApplicable("it does not judge a whole set (no `over_candidates`)")
    for num_predictions, num_candidates in _SETS:
        seed_generators(trial.seed + 1)
        positive = torch.arange(num_predictions) % num_candidates
        predictions, candidates = (torch.randn(n, PROJECTION_DIM) for n in (num_predictions, num_candidates))
        value = loss.over_candidates(predictions, candidates, positive)
        of = f"of {num_predictions} predictions among {num_candidates} candidates"
        require(value.shape == (), f"the judgement {of} has the shape {tuple(value.shape)}, and is no scalar")
        require(bool(value.isfinite()), f"the judgement {of} is {float(value.detach())}")
