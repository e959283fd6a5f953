"""The vote: is this step's loss and gradient finite? Taken on the device, read by the host with the metrics.

Under the policy `stop` it is sticky: from the first bad step on, nothing changes any more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.recipes.tables import NonFinite

OVERFLOWS_IN_A_ROW = 20
"""An fp16 run whose scaler finds no working scale in so many steps has failed."""


class Vote:
    """Device-side flags of one run."""

    def __init__(self, policy: NonFinite, device: torch.device) -> None:
        self._policy = policy
        self.bad_step = torch.full((), -1, dtype=torch.int64, device=device)
        """The first step that was refused for good; −1 while there is none."""
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        """Steps refused so far."""
        self.overflows = torch.zeros((), dtype=torch.int64, device=device)
        """fp16 gradient overflows in a row."""

    def cast(self, step: int | Tensor, loss: Tensor, grad_norm: Tensor, *, scaled: bool) -> Tensor:
        """Whether this step may change state: a bool scalar on the device. Writes its flags in place.

        `scaled` says that the gradient was scaled for fp16, where an overflow alone is no fault.
        """
        loss_finite, grads_finite = torch.isfinite(loss), torch.isfinite(grad_norm)
        finite = loss_finite & grads_finite
        overflows = torch.where(loss_finite & ~grads_finite, self.overflows + 1, torch.zeros_like(self.overflows))
        # Once the run has given up, the count stays what it was then: it tells why.
        self.overflows.copy_(torch.where(self.bad_step < 0, overflows, self.overflows))
        bad = ~loss_finite | (self.overflows >= OVERFLOWS_IN_A_ROW) if scaled else ~finite
        if self._policy == "stop" or scaled:
            give_up = bad if self._policy == "stop" else self.overflows >= OVERFLOWS_IN_A_ROW
            self.bad_step.copy_(torch.where((self.bad_step < 0) & give_up, step, self.bad_step))
        accept = finite & (self.bad_step < 0)
        self.skipped.add_((~accept).long())
        return accept

    @property
    def scaling_collapsed(self) -> bool:
        """Whether the run was given up because no loss scale keeps fp16 gradients finite. Waits for the device."""
        return int(self.overflows) >= OVERFLOWS_IN_A_ROW

    def state(self) -> dict[str, Tensor]:
        """For checkpoints."""
        return {"bad_step": self.bad_step, "skipped": self.skipped, "overflows": self.overflows}

    def restore(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        for name, value in state.items():
            getattr(self, name).copy_(value)
