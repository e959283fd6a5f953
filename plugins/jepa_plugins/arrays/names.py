"""Names of the arrays that a file may hold."""

from __future__ import annotations

OBSERVATIONS = "observations"
"""The one array of a `.npy` file, and the one that others must have."""

TASKS, SPLIT = "tasks", "split"
ROW_ARRAYS = (TASKS, SPLIT)
LABEL_PREFIX = "labels."


def is_of_rows(name: str) -> bool:
    """Whether an array says something of each row of the observations."""
    return name in ROW_ARRAYS or name.startswith(LABEL_PREFIX)
