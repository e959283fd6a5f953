"""One metric of a run over its rows, as read-only NumPy arrays."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(kw_only=True, eq=False)
class Series:
    """The recorded values of one metric, oldest first; only rows that hold it. All arrays have one length."""

    name: str
    steps: NDArray[np.floating]
    epochs: NDArray[np.floating]
    seconds: NDArray[np.floating]
    """Training time since the run began: the sum of steps × `time.step`. Never decreases, whatever the clock did."""
    values: NDArray[np.floating]
    """May hold not-a-number and infinities."""

    def __len__(self) -> int:
        return len(self.values)
