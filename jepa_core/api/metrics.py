"""What a run recorded, as columns. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Series = NDArray[np.float64]


@attrs.frozen(eq=False, repr=False)
class Metrics(Mapping[str, Series]):
    """The rows of a run by column, each (rows,) float64: NaN where a row does not report it."""

    columns: Mapping[str, Series]

    def __getitem__(self, name: str) -> Series:
        """
        Raises:
            KeyError: no row reports it.
        """
        if name not in self.columns:
            near = get_close_matches(str(name), self.columns, n=5, cutoff=0.4)
            raise KeyError(f"no row reports {name!r}" + (f"; there are {', '.join(near)}" if near else ""))
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values()), ()))
        return f"<Metrics: {rows} rows of {len(self)} figures>"

    def series(self, name: str) -> tuple[Series, Series]:
        """Steps and values where the metric is reported, (n,) each.

        Raises:
            KeyError: no row reports it.
        """
        values = self[name]
        is_there = ~np.isnan(values)
        return self["step"][is_there], values[is_there]

    def frame(self) -> pd.DataFrame:
        """The same as a pandas frame, a row for each that was recorded.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("A frame needs pandas: pip install pandas.") from error

        return pd.DataFrame(dict(self.columns))


def by_column(rows: Sequence[Mapping[str, float]]) -> Metrics:
    """Columns in the order in which they first appear."""
    names = dict.fromkeys(name for row in rows for name in row)
    return Metrics({name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names})
