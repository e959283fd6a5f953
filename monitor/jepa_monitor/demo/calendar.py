"""When the demo writes what, as functions of the number of steps done; the intervals are those of its recipe."""

from __future__ import annotations

from jepa_monitor.demo.story import STEPS_PER_EPOCH, TOTAL_STEPS

LOG_EVERY = 4
DIAGNOSE_EVERY = 20
CHECKPOINT_EVERY_EPOCHS = 2


def is_row_due(step: int) -> bool:
    """Whether a metrics row is written after this step."""
    return step % LOG_EVERY == 0 or is_diagnosis_due(step) or is_validation_due(step)


def is_diagnosis_due(step: int) -> bool:
    """Whether its row holds ranks and codes."""
    return step % DIAGNOSE_EVERY == 0 or step == TOTAL_STEPS


def is_validation_due(step: int) -> bool:
    """Whether its row holds retrieval."""
    return step % STEPS_PER_EPOCH == 0


def is_checkpoint_due(step: int) -> bool:
    """Whether a checkpoint is left after this step."""
    return step % (CHECKPOINT_EVERY_EPOCHS * STEPS_PER_EPOCH) == 0
