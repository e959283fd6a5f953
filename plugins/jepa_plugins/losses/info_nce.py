"""InfoNCE: the target of a context must score higher than other targets.

van den Oord, Li & Vinyals, "Representation Learning with Contrastive Predictive Coding", arXiv 1807.03748; the queue of
earlier targets is MoCo's (He et al., arXiv 1911.05722); the learnable temperature is CLIP's (Radford et al.,
arXiv 2103.00020).

Shapes: B sequences, O sequences of the other ranks that share the batch, P projection dimension, Q slots of the queue,
C = B + O + Q candidates in this order, T context observations.
"""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Crew, Forward, LossTerm, Statistics
from jepa_core.facts import LossFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_plugins.losses.fused_info_nce import fused_info_nce, is_fusable
from jepa_plugins.losses.unit_length import unit_length


@attrs.frozen(kw_only=True)
class InfoNceConfig:
    """Contrast of the right target with other targets."""

    kind: ClassVar[str] = "info_nce"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("temperature", "temperature of the contrast", minimum=0),
        Metric("queue.filled", "share of the negatives queue that holds targets", unit="%", minimum=0, maximum=1),
    )

    temperature: float = setting("divisor of cosine similarities, at the start", default=0.07, above=0)
    temperature_min: float = setting("lowest temperature", default=0.05, above=0, acts_later=True)
    temperature_max: float = setting("highest temperature", default=0.20, above=0, acts_later=True)
    learn_temperature: bool = setting("train the temperature within its bounds", default=True)
    queue: int = setting("earlier targets kept as further negatives", default=0, at_least=0, unit="targets")
    symmetric: bool = setting("average with the contrast of the right context among the batch's", default=False)
    context_weight: float = setting(
        "weight of a second contrast: the right target among the observations of its own context, its nearest rivals",
        default=0.0,
        at_least=0,
    )
    duplicate_similarity: float | None = setting(
        "leave out negatives whose target is at least this similar (cosine) to the right one, as they are false ones; "
        "near 1, or a collapse looks like success; all count when not given",
        default=None,
        above=0,
        at_most=1,
        acts_later=True,
    )

    def __attrs_post_init__(self) -> None:
        if not self.temperature_min <= self.temperature <= self.temperature_max:
            raise ValueError(
                f"temperature must be within temperature_min {self.temperature_min:g} and temperature_max "
                f"{self.temperature_max:g} (got {self.temperature:g})"
            )

    def build(self, facts: LossFacts) -> InfoNce:
        return InfoNce(self, facts.projection_dim)


class InfoNce(nn.Module):
    """Mean over the batch of −log softmax of the right target among all candidates."""

    log_temperature: Tensor
    queue: Tensor
    """(Q, P): targets of earlier steps, unit length."""
    next_slot: Tensor
    num_filled: Tensor

    def __init__(self, config: InfoNceConfig, projection_dim: int) -> None:
        super().__init__()
        self.config = config
        log_temperature = torch.tensor(math.log(config.temperature))
        if config.learn_temperature:
            self.log_temperature = nn.Parameter(log_temperature)
        else:
            self.register_buffer("log_temperature", log_temperature)
        self.register_buffer("queue", torch.zeros(config.queue, projection_dim))
        self.register_buffer("next_slot", torch.zeros((), dtype=torch.int64))
        self.register_buffer("num_filled", torch.zeros((), dtype=torch.int64))

    def temperature(self) -> Tensor:
        """Scalar within its bounds.

        The gradient ignores the bounds, where a plain clamp would hold the parameter at a bound for ever;
        `after_step` brings the parameter back.
        """
        raw = self.log_temperature
        return (self._bounded(raw.detach()) + (raw - raw.detach())).exp()

    def forward(self, forward: Forward) -> LossTerm:
        """Cosine similarities of `z_context` with `z_target`, that of other ranks, and the queue."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            z_context, z_target = unit_length(forward.z_context), unit_length(forward.z_target.detach())
            temperature = self.temperature()
            others_OP = forward.crew.others(z_target)
            if self.config.symmetric:
                other_contexts_OP = _of_others(z_context, forward.crew)
                value = self._both_ways(z_context, z_target, others_OP, other_contexts_OP, temperature)
            else:
                value = self._among_candidates(z_context, z_target, others_OP, temperature)
            if self.config.context_weight and forward.z_observed is not None:
                own = self._among_context(
                    z_context, z_target, unit_length(forward.z_observed.detach()), forward.is_target
                )
                value = value + self.config.context_weight * own
        return LossTerm(
            value=value, figures=self._figures(temperature), statistics=Statistics(rows=self._new_negatives(z_target))
        )

    def over_candidates(self, z_context: Tensor, candidates: Tensor, positive: Tensor) -> Tensor:
        """Scalar: contrast of each context (V, P) with one list of distinct candidates (C, P), its own at `positive`.

        Without queue, symmetry and left-out duplicates, so that recipes which differ in these can be compared.
        """
        with torch.autocast(device_type=z_context.device.type, enabled=False):
            logits_VC = (unit_length(z_context) / self.temperature()) @ unit_length(candidates).T
            return F.cross_entropy(logits_VC, positive)

    @torch.no_grad()
    def after_step(self, statistics: Statistics) -> None:
        """Bring the temperature back within its bounds, and append the step's targets to the queue."""
        self.log_temperature.copy_(self._bounded(self.log_temperature))
        if not self.config.queue:
            return
        newest = statistics.rows["z_target"][-self.config.queue :]
        slots = (self.next_slot + torch.arange(len(newest), device=newest.device)) % self.config.queue
        self.queue.index_copy_(0, slots, newest)
        self.next_slot.add_(len(newest)).remainder_(self.config.queue)
        self.num_filled.add_(len(newest)).clamp_(max=self.config.queue)

    def _bounded(self, log_temperature: Tensor) -> Tensor:
        return log_temperature.clamp(math.log(self.config.temperature_min), math.log(self.config.temperature_max))

    def _among_candidates(self, z_context: Tensor, z_target: Tensor, others_OP: Tensor, temperature: Tensor) -> Tensor:
        """Scalar: contrast of the right target with the batch's others, the other ranks' and the queue."""
        if is_fusable(z_context):
            return fused_info_nce(
                z_context, z_target, torch.cat([others_OP, self.queue]), self.num_filled + len(others_OP), temperature,
                lowest_temperature=self.config.temperature_min,
                duplicate_similarity=self.config.duplicate_similarity,
            )  # fmt: skip
        return _own_on_diagonal(self._logits(z_context, z_target, others_OP, temperature)[0])

    def _both_ways(
        self, z_context: Tensor, z_target: Tensor, others_OP: Tensor, other_contexts_OP: Tensor, temperature: Tensor
    ) -> Tensor:
        """Scalar: the mean of that and of the contrast of the right context with all other contexts, ranks' and own.

        Logits of the second have to be there whole, so that neither is fused.
        """
        logits_BC, left_out = self._logits(z_context, z_target, others_OP, temperature)
        batch, num_targets = len(z_target), len(z_target) + len(others_OP)
        of_others_OB = (other_contexts_OP / temperature) @ z_target.T
        # Two targets are duplicates of each other, so what does not count one way does not count the other.
        of_others_OB = of_others_OB.masked_fill(left_out[:, batch:num_targets].T, -torch.inf)
        of_contexts = torch.cat([logits_BC[:, :batch], of_others_OB]).T
        return (_own_on_diagonal(logits_BC) + _own_on_diagonal(of_contexts)) / 2

    def _logits(
        self, z_context: Tensor, z_target: Tensor, others_OP: Tensor, temperature: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, C), −inf where a candidate does not count; and (B, C) or (1, C) bool: where that is."""
        candidates_CP = torch.cat([z_target, others_OP, self.queue])
        left_out = self._left_out(z_target, candidates_CP)
        logits_BC = (z_context / temperature) @ candidates_CP.T
        return logits_BC.masked_fill(left_out, -torch.inf), left_out

    def _among_context(
        self, z_context: Tensor, z_target: Tensor, z_observed_BTP: Tensor, is_target_BT: Tensor | None
    ) -> Tensor:
        """Scalar: contrast of the right target with its context's observations; those that equal it do not count."""
        positive_B1 = (z_context * z_target).sum(-1, keepdim=True)
        rivals_BT = torch.einsum("bp,btp->bt", z_context, z_observed_BTP)
        logits_BC = torch.cat([positive_B1, rivals_BT], 1) / self.temperature()
        if is_target_BT is not None:
            # After the division: the gradient of −inf / τ by τ would be no number.
            logits_BC = logits_BC.masked_fill(F.pad(is_target_BT, (1, 0)), -torch.inf)
        return F.cross_entropy(logits_BC, torch.zeros_like(logits_BC[:, 0], dtype=torch.int64))

    def _left_out(self, z_target: Tensor, candidates_CP: Tensor) -> Tensor:
        """(B, C) or (1, C) bool: candidates that do not count: empty slots, and duplicates where asked."""
        num_targets = len(candidates_CP) - self.config.queue
        slot_C = torch.arange(len(candidates_CP), device=z_target.device) - num_targets
        is_empty_1C = (slot_C >= self.num_filled)[None]
        return is_empty_1C | self._duplicates(z_target, candidates_CP)

    def _duplicates(self, z_target: Tensor, candidates_CP: Tensor) -> Tensor:
        """(B, C) bool: candidates all but equal to the right one, which is on the diagonal and never among them.

        (1, 1) and false when the recipe lets all count.
        """
        if self.config.duplicate_similarity is None:
            return torch.zeros(1, 1, dtype=torch.bool, device=z_target.device)
        similarity_BC = z_target @ candidates_CP.T
        is_own_BC = torch.eye(*similarity_BC.shape, dtype=torch.bool, device=z_target.device)
        return (similarity_BC >= self.config.duplicate_similarity) & ~is_own_BC

    def _new_negatives(self, z_target: Tensor) -> dict[str, Tensor]:
        return {"z_target": z_target} if self.config.queue else {}

    def _figures(self, temperature: Tensor) -> dict[str, Tensor]:
        figures = {"temperature": temperature.detach()}
        if self.config.queue:
            figures["queue.filled"] = self.num_filled / self.config.queue
        return figures


def _own_on_diagonal(logits_BC: Tensor) -> Tensor:
    return F.cross_entropy(logits_BC, torch.arange(len(logits_BC), device=logits_BC.device))


def _of_others(z_context: Tensor, crew: Crew) -> Tensor:
    """(O, P): contexts of the other ranks in the order of `Crew.others`, with gradient."""
    everyone, batch = crew.gathered(z_context), len(z_context)
    return torch.cat([everyone[: crew.rank * batch], everyone[(crew.rank + 1) * batch :]])
