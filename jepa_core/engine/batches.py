"""Micro-batches from a split that lies whole on the device. Their order is a function of (seed, epoch, index)."""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.contracts import Observations, Sequences
from jepa_core.engine.seeds import derived_seed
from jepa_core.errors import RecipeError


class BatchStream:
    """An endless, shuffled stream of micro-batches; those that do not fill a batch at an epoch's end are left out."""

    def __init__(self, sequences: Sequences, batch_size: int, seed: int, device: torch.device) -> None:
        if len(sequences) < batch_size:
            raise RecipeError(
                f"train.batch_size is {batch_size}, but there are only {len(sequences)} training sequences. "
                f"Use --set train.batch_size={max(1, len(sequences))} or less, or more data."
            )
        self.batch_size = batch_size
        self.per_epoch = len(sequences) // batch_size
        self._observations = sequences.observations.to(device)
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64, device=device)

    def draw(self, index: int) -> Observations:
        """Micro-batch `index` of the whole run, (B, T+1, …)."""
        epoch, position = divmod(index, self.per_epoch)
        chosen = self._order_of(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
        return self._observations[chosen]

    def sample(self, size: int) -> Observations:
        """The fixed sample that diagnostics look at: at most `size` sequences, the same in every call."""
        generator = torch.Generator().manual_seed(derived_seed(self._seed, "diagnostics sample"))
        chosen = torch.randperm(len(self._observations), generator=generator)[:size]
        return self._observations[chosen.to(self._observations.device)]

    def _order_of(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derived_seed(self._seed, "order", epoch))
            order = torch.randperm(len(self._observations), generator=generator)
            self._order = order.to(self._observations.device)
            self._epoch = epoch
        return self._order
