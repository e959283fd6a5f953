"""How training ends: what `Trainer.train` returns."""

from __future__ import annotations

import signal
from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class Ending:
    """How training ended, and after how many steps."""

    state: Literal["finished", "aborted", "interrupted"]
    kind: Literal["finished", "early stop", "abort", "non-finite", "interrupted"]
    step: int
    """Optimizer steps that the final state has behind it."""
    exit_code: int
    reason: str

    @classmethod
    def finished(cls, step: int, early: str | None) -> Ending:
        """All epochs are done, or `early` says why the rest was not needed."""
        if early is None:
            return cls(state="finished", kind="finished", step=step, exit_code=0, reason="all epochs are done")
        return cls(state="finished", kind="early stop", step=step, exit_code=0, reason=f"stopped early: {early}")

    @classmethod
    def interrupted(cls, step: int, stop_signal: signal.Signals) -> Ending:
        """By a signal; the exit code is the shell's for it: 130 after Ctrl-C, 143 after SIGTERM."""
        reason = f"stopped by {stop_signal.name}"
        return cls(state="interrupted", kind="interrupted", step=step, exit_code=128 + stop_signal, reason=reason)

    @classmethod
    def aborted(cls, step: int, reason: str) -> Ending:
        """An abort rule has fired."""
        return cls(state="aborted", kind="abort", step=step, exit_code=3, reason=reason)

    @classmethod
    def non_finite(cls, step: int, reason: str) -> Ending:
        """The step after `step` had a loss or gradient that is not finite."""
        return cls(state="aborted", kind="non-finite", step=step, exit_code=3, reason=reason)
