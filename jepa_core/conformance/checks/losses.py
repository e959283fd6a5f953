"""What holds for losses alone: figures, views, a judgement of the whole set."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.conformance.comparison import require_equal
from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.situations import PROJECTION_DIM, Situation, Tensors, drawn_grids
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import DeclaresViews, JudgesWholeSet, Observations, ViewTransform
from jepa_core.facts import OUTSIDE

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
    """Views are sequences of grids, decided by the seed, and leave the batch as it was."""
    loss = trial.build()
    if not isinstance(loss, DeclaresViews):
        raise NotApplicable("it declares no views")
    given = _sequences(trial.situation)
    for name, transform in loss.views().items():
        batch = {key: tensor.clone() for key, tensor in given.items()}
        view, again = _transformed(transform, batch), _transformed(transform, batch)
        require_equal(batch, given, f"the view {name} writes to the batch")
        require_equal(again, view, f"the view {name} drawn again under one seed")
        for key, tensor in view.items():
            same = (tensor.shape, tensor.dtype) == (given[key].shape, given[key].dtype)
            require(same, f"the view {name} has {key} {tuple(tensor.shape)} of {tensor.dtype}, unlike the batch")
        outside = _is_outside(view["sizes"], trial.situation.side)
        wrong = int(((view["grids"] == OUTSIDE) != outside).sum())
        require(not wrong, f"the view {name} has {wrong} cells that are {OUTSIDE} within a grid, or not so outside")


def judges_any_set(trial: Trial) -> None:
    """A judgement of the whole set is a finite scalar, for any number of candidates."""
    loss = trial.build()
    if not isinstance(loss, JudgesWholeSet):
        raise NotApplicable("it does not judge a whole set (no `over_candidates`)")
    for num_predictions, num_candidates in _SETS:
        torch.manual_seed(trial.seed + 1)
        positive = torch.arange(num_predictions) % num_candidates
        predictions, candidates = (torch.randn(n, PROJECTION_DIM) for n in (num_predictions, num_candidates))
        value = loss.over_candidates(predictions, candidates, positive)
        of = f"of {num_predictions} predictions among {num_candidates} candidates"
        require(value.shape == (), f"the judgement {of} has the shape {tuple(value.shape)}, and is no scalar")
        require(bool(value.isfinite()), f"the judgement {of} is {float(value.detach())}")


def _sequences(situation: Situation) -> Tensors:
    """Grids (B, T+1, H, W) and sizes (B, T+1, 2)."""
    torch.manual_seed(1)
    num_grids = situation.context_length + 1
    drawn = drawn_grids(situation, situation.batch * num_grids)
    return {name: tensor.unflatten(0, (-1, num_grids)) for name, tensor in drawn.items()}


def _transformed(transform: ViewTransform, batch: Tensors) -> Tensors:
    torch.manual_seed(6)
    with no_host_sync():
        view = transform(Observations({"grid": batch["grids"], "size": batch["sizes"]}))
    return {"grids": view["grid"], "sizes": view["size"]}


def _is_outside(sizes: Tensor, side: int) -> Tensor:
    cells = torch.arange(side)
    return ~((cells[:, None] < sizes[..., :1, None]) & (cells < sizes[..., 1:, None]))
