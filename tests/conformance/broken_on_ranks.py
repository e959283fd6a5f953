"""Components that are right in one process, and wrong where ranks share a batch."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepa_core.contracts import Forward, LossTerm, Quantized, Statistics
from jepa_core.draws import draw_key
from jepa_core.metrics import Metric
from tests.conformance.broken_components import Codebook, Stateful, breaks


def gaussian(z: Tensor, directions: Tensor) -> Tensor:
    """How far the embeddings' characteristic function at 1 is from a normal distribution's, along directions."""
    angles = z @ F.normalize(directions, dim=0)
    return ((angles.cos().mean(0) - 0.607).square() + angles.sin().mean(0).square()).mean()


@breaks("loss", "ranks", r"value is 0\.\d+ on two ranks, on average, and 0\.\d+ in one process, .*gathered\(z\)")
class GaussianPerRank(nn.Module):
    """SIGReg as it is written for one process."""

    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()
        key = forward.crew.shared(draw_key(z.device))
        return LossTerm(value=gaussian(z, torch.sin(key % 1000 + torch.arange(60.0).view(6, 10))))


@breaks("loss", "ranks", "value is .* on two ranks.*draw_key")
class DirectionsPerRank(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.crew.gathered(forward.z_context.float())
        return LossTerm(value=gaussian(z, torch.randn(6, 10)))


@breaks("loss", "ranks", "gradient of input z_context on two ranks is 50% of its length off one process's")
class GathersWithoutGradient(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()
        everyone = forward.crew.gather(z).index_copy(0, torch.arange(len(z)) + forward.crew.rank * len(z), z)
        return LossTerm(value=everyone.std(0).square().mean())


@breaks("loss", "ranks", r"value is .* \(and gradient of input z_context, too\)")
class ContrastsWithItself(nn.Module):
    """Negatives of the own rank alone."""

    def forward(self, forward: Forward) -> LossTerm:
        scores = forward.z_context.float() @ forward.z_target.float().T
        return LossTerm(value=F.cross_entropy(scores, torch.arange(len(scores))))


@breaks("loss", "ranks", r"value is .*crew.share\(sum, count\)")
class MeanOfMeans(nn.Module):
    """Over tokens, of which ranks have unequal numbers."""

    def forward(self, forward: Forward) -> LossTerm:
        mask = forward.context_embeddings.mask
        squares = torch.where(mask, forward.context_embeddings.values.float().square().mean(-1), 0.0)
        return LossTerm(value=squares.sum() / mask.sum().clamp(min=1))


@breaks("loss", "ranks", "figure.spread is 0", metrics=(Metric("spread", "standard deviation over the batch"),))
class FigurePerRank(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()
        return LossTerm(value=z.square().mean(), figures={"spread": z.detach().std(0).mean()})


@breaks(
    "loss", "ranks", "two ranks waited for each other: rank 0 is at a meeting where the other is not .*broken_on_ranks"
)
class MeetsAlone(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()
        if forward.crew.rank == 0:
            z = forward.crew.gathered(z)
        return LossTerm(value=z.square().mean())


@breaks("loss", "ranks", "on rank 1 of 2 it raises IndexError: .*broken_on_ranks.py")
class CountsOnTheWhole(nn.Module):
    def forward(self, forward: Forward) -> LossTerm:
        z = forward.z_context.float()
        return LossTerm(value=z[forward.crew.rank * len(z)].square().mean())


@breaks("loss", "ranks", "after a step the state's total on two ranks is 100% of its length off .* merged")
class AddsUpTheMerged(Stateful):
    """Merged by itself, and then once more by the engine."""

    def statistics(self, forward: Forward) -> Statistics:
        return Statistics(sums={"targets": forward.crew.total(forward.z_target.sum(0))})


@breaks("loss", "ranks", "after a step the state's total is not the same on both ranks")
class FollowsItsOwn(Stateful):
    last: Tensor

    def forward(self, forward: Forward) -> LossTerm:
        self.last = forward.z_target.sum(0)
        return super().forward(forward)

    def after_step(self, statistics: Statistics) -> None:
        self.total += self.last


@breaks("loss", "ranks", r"rows of the statistics' targets: \d+ on one rank, and \d+ on the other")
class HandsOverWhatIsReal(Stateful):
    def statistics(self, forward: Forward) -> Statistics:
        tokens = forward.target_tokens
        return Statistics(rows={"targets": tokens.values[tokens.mask]})

    def after_step(self, statistics: Statistics) -> None:
        self.total += statistics.rows["targets"].sum()


@breaks("quantizer", "ranks", r"loss is .* on two ranks.*Quantized\.count")
class DoesNotCount(Codebook):
    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        quantized = super().forward(values, mask, collect=collect)
        squares = torch.where(mask[..., None], values.float().square(), 0.0).sum()
        return dataclasses.replace(quantized, loss=squares / mask.sum().clamp(min=1))


@breaks("quantizer", "ranks", "the state's code on two ranks is .*draw_key")
class RevivesByItsOwnDraw(Codebook):
    """Its code moves onto tokens that each rank draws among its own."""

    code: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("code", torch.zeros(16))

    def forward(self, values: Tensor, mask: Tensor, *, collect: bool) -> Quantized:
        quantized = super().forward(values, mask, collect=collect)
        tokens = values.detach().flatten(0, -2)
        drawn = tokens.index_select(0, torch.randint(len(tokens), (1,)))
        return dataclasses.replace(quantized, statistics=Statistics(rows={"drawn": drawn} if collect else {}))

    def after_step(self, statistics: Statistics) -> None:
        self.code.copy_(statistics.rows["drawn"].mean(0))
