"""How training ends: what `Trainer.train` returns."""

from __future__ import annotations

import signal
from typing import Literal

import attrs

from jepa_core.rollback.going_on import going_on
from jepa_core.run_directory.lock import DirectoryLostError, Loss
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
        """By a signal; the exit code is the shell's for it: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
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


def directory_lost(loss: Loss, step: int, *, is_saved: bool, fault: str = "") -> DirectoryLostError:
    """What to raise where a run has ended because its directory is lost.

    Args:
        loss: what became of the directory.
        step: steps that were done.
        is_saved: whether there is a checkpoint of that step where the directory is now.
        fault: why there is none.
    """
    stopped = f"{loss.what}: training stopped after step {step}"
    if loss.path is None:
        return DirectoryLostError(f"{stopped}, and nothing could be saved. {loss.remedy}", loss)
    why = f" ({fault.rstrip('.')})" if fault else ""
    state = "whose checkpoint is there" if is_saved else f"and its newest checkpoint there is an earlier one{why}"
    return DirectoryLostError(f"{stopped}, {state}. {going_on(loss.path)}", loss)
