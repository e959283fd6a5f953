"""How training ends: what `Trainer.train` returns."""

from __future__ import annotations

import signal
from typing import Literal

import attrs

from jepa_core.watch.decision import Decision


@attrs.frozen(kw_only=True)
class Ending:
    """How training ended, and after how many steps."""

    state: Literal["finished", "aborted", "interrupted", "rolled_back"]
    kind: Literal["finished", "early stop", "abort", "non-finite", "interrupted", "rolled back"]
    step: int
    """Optimizer steps that the final state has behind it."""
    exit_code: int
    reason: str

    @classmethod
    def decided(cls, step: int, decision: Decision) -> Ending:
        """By an abort rule, by an early stop, or because all epochs are done."""
        if decision.abort is not None:
            return cls(state="aborted", kind="abort", step=step, exit_code=3, reason=decision.abort.message)
        if decision.early_stop is not None:
            reason = f"stopped early: {decision.early_stop.message}"
            return cls(state="finished", kind="early stop", step=step, exit_code=0, reason=reason)
        return cls(state="finished", kind="finished", step=step, exit_code=0, reason="all epochs are done")

    @classmethod
    def interrupted(cls, step: int, stop_signal: signal.Signals) -> Ending:
        """By a signal; the exit code is the shell's for it: 130 after Ctrl-C, 143 after SIGTERM."""
        reason = f"stopped by {stop_signal.name}"
        return cls(state="interrupted", kind="interrupted", step=step, exit_code=128 + stop_signal, reason=reason)

    @classmethod
    def non_finite(cls, step: int, reason: str) -> Ending:
        """The step after `step` had a loss or gradient that is not finite."""
        return cls(state="aborted", kind="non-finite", step=step, exit_code=3, reason=reason)

    @classmethod
    def rolled_back(cls, step: int, reason: str) -> Ending:
        """To be taken back: another run goes on from an earlier checkpoint, and this one's exit code is that one's."""
        return cls(state="rolled_back", kind="rolled back", step=step, exit_code=0, reason=reason)
