"""Loss scaling for fp16 (Micikevicius et al., arXiv 1710.03740), on the device, without a sync.

Written here because torch's GradScaler decides on its own whether the optimizer steps; our vote decides for all state
at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LossScale:
    """Multiplies the loss before backward and divides the gradients after it. Without `enabled` it is the identity."""

    GROWTH_INTERVAL = 2000
    LARGEST = 2.0**24

    def __init__(self, *, enabled: bool, device: torch.device) -> None:
        self.enabled = enabled
        self.scale = torch.full((), 2.0**16 if enabled else 1.0, device=device)
        self.good_steps = torch.zeros((), dtype=torch.int64, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self.scale if self.enabled else loss

    @torch.no_grad()
    def unscale_(self, parameters: list[nn.Parameter]) -> None:
        """Divide all gradients by the scale, in place."""
        if self.enabled:
            torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], 1.0 / self.scale)

    def update(self, grad_norm: Tensor) -> None:
        """Halve after an overflow, double after many good steps."""
        if not self.enabled:
            return
        finite = torch.isfinite(grad_norm)
        good_steps = torch.where(finite, self.good_steps + 1, torch.zeros_like(self.good_steps))
        grow = good_steps >= self.GROWTH_INTERVAL
        factor = torch.where(finite, torch.where(grow, 2.0, 1.0), 0.5)
        self.scale = (self.scale * factor).clamp(min=1.0, max=self.LARGEST)
        self.good_steps = torch.where(grow, torch.zeros_like(good_steps), good_steps)

    def state(self) -> dict[str, Tensor]:
        """For checkpoints."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def restore(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        self.scale.copy_(state["scale"])
        self.good_steps.copy_(state["good_steps"])
