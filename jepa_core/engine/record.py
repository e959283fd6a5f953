"""Where a trainer's rows and events go, as far as it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from jepa_core.run_directory.bad_batches import BadBatch
from jepa_core.watch.decision import Decision
from jepa_core.watch.findings import Severity


class Record(Protocol):
    """Where a run's rows and events go."""

    @property
    def decision(self) -> Decision:
        """What the rules ask for, after all rows so far."""
        ...

    @property
    def healthy_before(self) -> tuple[float, ...]:
        """Steps before which a checkpoint may still be wanted for a rollback."""
        ...

    def taken_back(self, step: int, *, after_row: bool) -> str | None:
        """Why the run is to be rolled back now, in words; None while it is not. Asked after every step: cheap unless
        a row was written or a second has passed."""
        ...

    def row(self, row: Mapping[str, float]) -> None: ...

    def rank_row(self, row: Mapping[str, float]) -> None:
        """A rank's own time and loss, where several share the batches."""
        ...

    def diagnosis(self, row: Mapping[str, Any]) -> None: ...

    def event(
        self,
        name: str,
        severity: Severity,
        message: str,
        *,
        step: int,
        evidence: Mapping[str, Any] | None = None,
        advice: str = "",
        notice: bool = False,
    ) -> None: ...

    def keep_batch(self, batch: BadBatch, tensors: bytes) -> str | None:
        """Put a batch in which something was not finite into the run directory; where it is below that, None where
        enough are there.

        Raises:
            OSError: it could not be written.
        """
        ...

    def heartbeat(self, step: int, epoch: float) -> None:
        """Called after every step, and between the micro-batches of one; cheap unless something is due.

        `step` counts the steps that are done; `epoch` tells the micro-batches of the next one, too.
        """
        ...
