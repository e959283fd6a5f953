"""A recorded run as a comparison needs it: its recipe, its seed, and every metric by step. Knows no other run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from jepa_core.metrics import Metric
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_judge, recorded_metrics
from jepa_core.run_directory.status import ShownState
from jepa_core.watch.nulls import RankedNulls

Series = dict[int, float]
"""Values by step, in the order of the steps."""


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
    """Of each metric that stands in a row, `epoch` included."""
    nulls: RankedNulls = attrs.field(factory=RankedNulls)
    """What learns nothing, on the run's validation candidates."""
    declared: Mapping[str, Metric]
    """Unit and direction of metrics, as far as the run says."""

    def final(self, metric: str) -> float | None:
        """The last value recorded; None when there is none."""
        series = self.series.get(metric)
        return next(reversed(series.values())) if series else None

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
        return max((next(reversed(series)) for series in self.series.values()), default=None)


def read_run(reader: RunReader) -> RecordedRun:
    """Read the run whole."""
    recipe, status = reader.recipe(), reader.status()
    return RecordedRun(
        name=reader.name,
        path=str(reader.path),
        recipe_name=(status.recipe if status else "") or str(recipe.get("name", "")) or reader.name,
        recipe=recipe,
        seed=_seed(recipe),
        state=reader.state(),
        data=str(reader.environment().get("data_fingerprint", "")),
        series=_series(reader.rows()),
        nulls=reader.nulls(),
        declared={metric.name: metric for metric in recorded_metrics(recipe)},
    )


def _seed(recipe: Mapping[str, Any]) -> int | None:
    train = recipe.get("train")
    seed = train.get("seed") if isinstance(train, Mapping) else None
    return seed if isinstance(seed, int) else None


def _series(rows: Iterable[Mapping[str, float]]) -> dict[str, Series]:
    """Rows of one step are one; rows that say no step are left out."""
    found: dict[str, Series] = {}
    for row in rows:
        step = row.get("step")
        if step is None or not step.is_integer():
            continue
        for name, value in row.items():
            if name != "step":
                found.setdefault(name, {})[int(step)] = value
    return {name: dict(sorted(series.items())) for name, series in found.items()}
