"""A recorded run as a comparison needs it: its recipe, its seed, and every metric by step. Knows no other run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from jepa_core.metrics import Metric
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_judge, recorded_metrics
from jepa_core.run_directory.status import ShownState
from jepa_core.watch.nulls import RankedNulls

if TYPE_CHECKING:
    from jepa_core.comparison.series import Series


@attrs.frozen(kw_only=True)
class RecordedRun:
    """What was read of one run directory."""

    name: str
    path: str
    recipe_name: str
    recipe: Mapping[str, Any]
    """Plain tables; empty when it is missing or damaged."""
    seed: int | None
    state: ShownState
    data: str
    """Fingerprint of its data; empty when it is not known."""
    series: Mapping[str, Series]
    """Of each metric that stands in a row, `epoch` included; none of them is empty."""
    nulls: RankedNulls = attrs.field(factory=RankedNulls)
    """What learns nothing, on the run's validation candidates."""
    declared: Mapping[str, Metric]
    """Unit and direction of metrics, as far as the run says."""

    def final(self, metric: str) -> float | None:
        """The last value recorded; None when there is none."""
        series = self.series.get(metric)
        return None if series is None else float(series.values[-1])

    @property
    def judged(self) -> tuple[str, ...]:
        """Metrics that its recipe compares it by, reported or not."""
        return recorded_judge(self.recipe)

    @property
    def candidates(self) -> float | None:
        """Distinct targets among which each is ranked on validation; None where the run did not record it."""
        return self.final("val.retrieval.candidates")

    def same_data(self, other: RecordedRun) -> bool | None:
        """Whether both were validated on equal data, split and candidates; None where that is not known."""
        if None not in (self.candidates, other.candidates) and self.candidates != other.candidates:
            return False
        # The fingerprint is over both splits.
        return self.data == other.data if self.data and other.data else None

    @property
    def last_step(self) -> int | None:
        """Step of the last row; None before the first."""
        return max((int(series.steps[-1]) for series in self.series.values()), default=None)


def read_run(reader: RunReader) -> RecordedRun:
    """Read the run whole."""
    # With numpy, which the help of a command need not load.
    from jepa_core.comparison.series import series_of
    from jepa_core.run_directory.columns import columns_of

    recipe, status = reader.recipe(), reader.status()
    return RecordedRun(
        name=reader.name,
        path=str(reader.path),
        recipe_name=(status.recipe if status else "") or str(recipe.get("name", "")) or reader.name,
        recipe=recipe,
        seed=_seed(recipe),
        state=reader.state(),
        data=str(reader.environment().get("data_fingerprint", "")),
        series=series_of(columns_of(reader.rows())),
        nulls=reader.nulls(),
        declared={metric.name: metric for metric in recorded_metrics(recipe)},
    )


def _seed(recipe: Mapping[str, Any]) -> int | None:
    train = recipe.get("train")
    seed = train.get("seed") if isinstance(train, Mapping) else None
    return seed if isinstance(seed, int) else None
