"""What a training step hands to `after_step` of a component with state outside the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Statistics:
    """What a step hands to `after_step`. Merging gives what one larger batch would have given."""

    sums: Mapping[str, Tensor] = field(default_factory=dict)
    """Added up over micro-batches and ranks."""
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    """Concatenated along the first dimension over micro-batches and ranks; every rank has as many."""

    @staticmethod
    def merge(parts: Sequence[Statistics]) -> Statistics:
        first = parts[0]
        return Statistics(
            sums={key: torch.stack([part.sums[key] for part in parts]).sum(0) for key in first.sums},
            rows={key: torch.cat([part.rows[key] for part in parts]) for key in first.rows},
        )
