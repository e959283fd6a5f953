"""InfoNCE with a full queue, forward and backward, beside plain torch.

Shapes: B sequences, Q slots of the queue, P projection dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import BenchmarkCase, Embeddings, Forward, Quantized, Statistics
from jepa_core.facts import BenchmarkFacts, LossFacts
from jepa_core.metrics import Metric
from jepa_plugins.losses.info_nce import InfoNce, InfoNceConfig

ON_CUDA = ((512, 8_192, 256), (4_096, 65_536, 256), (8_192, 262_144, 256))
ON_CPU = ((512, 8_192, 256),)
QUICK = ((32, 128, 16),)
"""Sequences, slots of the queue, projection dimension."""
TEMPERATURE = 0.07

Contrast = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Contexts (B, P), targets (B, P) and the queue's unit vectors (Q, P) to a scalar."""


@attrs.frozen(kw_only=True)
class ContrastBenchmark:
    """InfoNCE among a batch's targets and a full queue, forward and backward."""

    kind: ClassVar[str] = "contrast"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: BenchmarkFacts) -> Iterator[BenchmarkCase]:
        """A case of each size."""
        sizes = QUICK if facts.is_quick else ON_CUDA if facts.device.startswith("cuda") else ON_CPU
        return (contrast(*size, facts.device) for size in sizes)


def contrast(batch: int, queue: int, dim: int, device: str) -> BenchmarkCase:
    """The loss and its gradients by contexts and temperature."""
    z_context, z_target = (torch.randn(batch, dim, device=device) for _ in range(2))
    negatives = F.normalize(torch.randn(queue, dim, device=device), dim=-1)
    return BenchmarkCase(
        what=f"{batch:,} × ({batch:,} + {queue:,}) × {dim}, both ways",
        inputs=(z_context.requires_grad_(), z_target, negatives),
        ours=_built_in(negatives),
        naive=_plain(torch.device(device)),
        flop=4.0 * batch * (batch + queue) * dim,
        floor="two products: the similarities, and the mean negative that the gradient is made of",
        items=batch,
        unit="sequences",
    )


def _built_in(negatives: Tensor) -> Contrast:
    """The component, with its queue filled."""
    dim = negatives.shape[1]
    facts = LossFacts(embedding_dim=1, projection_dim=dim, context_length=1, num_tokens=1, batch_size=1)
    loss: InfoNce = InfoNceConfig(queue=len(negatives), temperature=TEMPERATURE).build(facts).to(negatives.device)
    loss.after_step(Statistics(rows={"z_target": negatives}))

    def of_component(z_context: Tensor, z_target: Tensor, _: Tensor) -> Tensor:
        value: Tensor = loss(_forward(z_context, z_target)).value
        return value

    return of_component


def _forward(z_context: Tensor, z_target: Tensor) -> Forward:
    """What the loss looks at, and nothing in the rest."""
    none = torch.zeros(len(z_target), 1, device=z_target.device)
    tokens = Embeddings(none[:, None], none.bool())
    return Forward(
        z_context=z_context, z_target=z_target, predicted=none, state=none, target=none, context_embeddings=tokens,
        context_quantized=Quantized(values=none, codes=None, loss=none.sum(), statistics=Statistics()),
        target_tokens=tokens,
    )  # fmt: skip


def _plain(device: torch.device) -> Contrast:
    log_temperature = torch.tensor(TEMPERATURE, device=device).log().requires_grad_()

    def plainly(z_context: Tensor, z_target: Tensor, negatives: Tensor) -> Tensor:
        candidates = torch.cat([F.normalize(z_target, dim=-1), negatives])
        logits = F.normalize(z_context, dim=-1) / log_temperature.exp() @ candidates.T
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))

    return plainly
