"""What is measured on the diagnostics interval over a fixed sample of training sequences: ranks, codes, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import ALONE, Crew
from jepa_core.engine.evaluation import as_shares, code_figures, gather, num_codes, representation_figures, spectra
from jepa_core.engine.network import Parts
from jepa_core.engine.representation import rank_by_cosine
from jepa_core.engine.retrieval import figures_of
from jepa_core.engine.slices import local
from jepa_core.engine.step import TrainingStep
from jepa_core.observations import Observations

GRADIENT_SEQUENCES = 64
"""Sequences over which the shares of the losses in the gradient are measured."""


@attrs.frozen
class Diagnosis:
    """One look."""

    figures: dict[str, float]
    """For the metrics row."""
    detail: dict[str, Any]
    """For diagnostics.jsonl: spectrum, counts per code, weights over time."""


class Diagnostics:
    """Looks at a run's model; remembers how its weights started."""

    def __init__(self, step: TrainingStep, sample_size: int, chunk: int) -> None:
        self._step = step
        self._sample = step.batches.sample(sample_size)
        self._chunk = chunk
        self._initial = {name: local(parameter.detach()).clone() for name, parameter in step.parameters.items()}

    def moved(self) -> dict[str, Tensor]:
        """Relative change of every part since the start. Where ranks have slices of it, all of them are asked."""
        step = self._step
        return movement(step.parameters, self._initial, ALONE if step.shards is None else step.crew)

    def __call__(self, step: int, moved: Mapping[str, Tensor] | None = None) -> Diagnosis:
        """Measure at optimizer step `step`, without training anything; `moved` where it is known."""
        objective = self._step.objective
        gathered = gather(objective, self._sample, self._step.compute, chunk=self._chunk)
        of_sides = spectra(gathered)
        codes, counts = code_figures(gathered, num_codes(objective))
        figures = (
            representation_figures(gathered, of_sides)
            | codes
            | dict(self.moved() if moved is None else moved)
            | {"target.distance": target_distance(self._step.parts)}
            | gradient_shares(self._step, step)
        )
        values = torch.stack([value.float() for value in figures.values()]).tolist()
        detail: dict[str, Any] = {"spectrum": as_shares(of_sides)}
        if counts is not None:
            detail["code_counts"] = counts.tolist()
        if gathered.time_weights is not None:
            detail["time_weights"] = gathered.time_weights.tolist()
        retrieval = self._batch_retrieval(gathered.z_context, gathered.z_target)
        return Diagnosis(dict(zip(figures, values, strict=True)) | retrieval, detail)

    def _batch_retrieval(self, z_context: Tensor, z_target: Tensor) -> dict[str, float]:
        """Retrieval among as many training sequences as a micro-batch has."""
        size = self._step.batches.batch_size
        positive = torch.arange(min(size, len(z_context)), device=z_context.device)
        return figures_of(rank_by_cosine(z_context[:size], z_target[:size], positive)).named("retrieval")


def movement(
    parameters: Mapping[str, nn.Parameter], initial: Mapping[str, Tensor], crew: Crew = ALONE
) -> dict[str, Tensor]:
    """Relative change of every part's parameters since the start, over the slices of all ranks."""
    parts: dict[str, list[str]] = {}
    for name in parameters:
        parts.setdefault(name.partition(".")[0], []).append(name)
    return {
        f"moved.{part}": _relative_distance(
            [local(parameters[n].detach()) for n in names], [initial[n] for n in names], crew
        )
        for part, names in parts.items()
    }


def target_distance(parts: Parts) -> Tensor:
    """Relative distance of the online weights from the EMA target's."""
    online = [p.detach() for module in (parts.online.encoder, parts.online.projector) for p in module.parameters()]
    target = [p.detach() for module in (parts.target.encoder, parts.target.projector) for p in module.parameters()]
    return _relative_distance(online, target) if online else torch.zeros(())


def _relative_distance(values: list[Tensor], origin: list[Tensor], crew: Crew = ALONE) -> Tensor:
    norms = torch.stack([nn.utils.get_total_norm(torch._foreach_sub(values, origin)), nn.utils.get_total_norm(origin)])
    if crew.size > 1:
        norms = crew.total(norms.square()).sqrt()
    return norms[0] / norms[1].clamp(min=1e-12)


def gradient_shares(training: TrainingStep, step: int) -> dict[str, Tensor]:
    """Each loss's share of the summed gradient norms at the encoder's output, on part of this step's batch."""
    batch, views = training.draw(step, 0)
    training.objective.train()
    with training.compute.autocast():
        outcome = training.objective(_first(batch), {name: _first(view) for name, view in views.items()})
    norms = {}
    for name, term in outcome.terms.items():
        reached = (
            term.requires_grad
            and torch.autograd.grad(term, outcome.encoder_output, retain_graph=True, allow_unused=True)[0]
        )
        norms[name] = reached.float().norm() if isinstance(reached, Tensor) else torch.zeros_like(term)
    total = torch.stack(list(norms.values())).sum().clamp(min=1e-30)
    return {f"grad.share.{name}": norm.detach() / total for name, norm in norms.items()}


def _first(batch: Observations) -> Observations:
    return batch[:GRADIENT_SEQUENCES]
