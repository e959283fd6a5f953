"""The vote: is this step's loss and gradient finite? Taken on the device, read by the host with the metrics.

Under the policy `stop` it is sticky: from the first bad step on, nothing changes any more. Under `skip` it becomes so
once too many steps in a row were refused.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jepa_core.recipes.tables import NonFinite

OVERFLOWS_IN_A_ROW = 20
"""An fp16 run whose scaler finds no working scale in so many steps has failed."""
SKIPPED_IN_A_ROW = 20
"""So many steps that are skipped one after the other end a run that skips bad ones. Batches are drawn at random: were
every second one bad, this would come once in a million steps. What is bad then is the state, or all of the data."""


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
        self.refused_in_a_row = torch.zeros((), dtype=torch.int64, device=device)
        """Steps refused one after the other, up to the one at which the run was given up."""
        self.refused_step = torch.full((), -1, dtype=torch.int64, device=device)
        """The newest of them; −1 while there is none."""

    def cast(self, step: int | Tensor, loss: Tensor, grad_norm: Tensor, *, scaled: bool) -> Tensor:
        """Whether this step may change state: a bool scalar on the device. Writes its flags in place.

        `scaled` says that the gradient was scaled for fp16, where an overflow alone is no fault.
        """
        # Comparisons with infinity are half the kernels of `isfinite`; those with NaN are false.
        loss_finite = loss.abs() < torch.inf
        finite = loss_finite & (grad_norm.abs() < torch.inf)
        refused = torch.where(finite, 0, self.refused_in_a_row + 1)
        # Once the run has given up, the counts stay what they were then: they tell why.
        goes_on = self.bad_step < 0
        self.refused_in_a_row.copy_(torch.where(goes_on, refused, self.refused_in_a_row))
        bad = ~finite
        self.refused_step.copy_(torch.where(goes_on & bad, step, self.refused_step))
        if scaled:
            overflows = torch.where(loss_finite & bad, self.overflows + 1, 0)
            self.overflows.copy_(torch.where(goes_on, overflows, self.overflows))
            bad = ~loss_finite | (self.overflows >= OVERFLOWS_IN_A_ROW)
        give_up = bad if self._policy == "stop" else self.refused_in_a_row >= SKIPPED_IN_A_ROW
        self.bad_step.copy_(torch.where(goes_on & give_up, step, self.bad_step))
        accept = finite & (self.bad_step < 0)
        self.skipped.add_(~accept)
        return accept

    def given_up_at(self, done: int, *, is_last: bool) -> int:
        """The step at which a run of `done` steps was given up; −1 while it goes on. Waits for the device.

        One that is at its end without having taken a single step is given up as well: it has learnt nothing.
        """
        bad_step = int(self.bad_step)
        has_skipped_all = is_last and 0 < done <= int(self.refused_in_a_row)
        return done - 1 if bad_step < 0 and has_skipped_all else bad_step

    def refused(self, bad_step: int) -> str:
        """Which steps were refused, up to the one at which the run was given up, in words."""
        count = int(self.refused_in_a_row)
        if count > 1:
            return f"steps {bad_step + 2 - count} to {bad_step + 1} were not finite"
        return f"step {bad_step + 1} was not finite"

    @property
    def goes_on_from_overflow(self) -> Tensor:
        """Whether the newest step was refused for an fp16 overflow alone, and the run goes on; bool on the device."""
        return (self.overflows > 0) & (self.bad_step < 0)

    @property
    def scaling_collapsed(self) -> bool:
        """Whether the run was given up because no loss scale keeps fp16 gradients finite. Waits for the device."""
        return int(self.overflows) >= OVERFLOWS_IN_A_ROW

    def state(self) -> dict[str, Tensor]:
        """For checkpoints."""
        return {
            "bad_step": self.bad_step,
            "skipped": self.skipped,
            "overflows": self.overflows,
            "refused_in_a_row": self.refused_in_a_row,
            "refused_step": self.refused_step,
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """From a checkpoint."""
        for name, value in state.items():
            getattr(self, name).copy_(value)
