"""What a run recorded, as columns. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_core.run_directory.columns import Columns

if TYPE_CHECKING:
    import pandas as pd

Series = NDArray[np.float64]


@attrs.frozen(eq=False, repr=False)
class Metrics(Mapping[str, Series]):
    """The rows of a run by column, each (rows,) float64: NaN where a row does not report it.

    A column is made whenever it is asked for: keep the one that is used again and again.
    """

    _columns: Columns

    def __getitem__(self, name: str) -> Series:
        """
        Raises:
            KeyError: no row reports it.
        """
        if name not in self._columns.kinds_of:
            near = get_close_matches(str(name), self, n=5, cutoff=0.4)
            raise KeyError(f"no row reports {name!r}" + (f"; there are {', '.join(near)}" if near else ""))
        return self._columns.dense(name)

    def __contains__(self, name: object) -> bool:
        return name in self._columns.kinds_of

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.kinds_of)

    def __len__(self) -> int:
        return len(self._columns.kinds_of)

    def __repr__(self) -> str:
        return f"<Metrics: {self._columns.num_rows} rows of {len(self)} figures>"

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

        return pd.DataFrame(dict(self))
