"""What an ablation came to: each cell's figures, and the effect of every level of every factor against its reference.

An effect is estimated within seeds. Under each seed, runs that differ in this factor alone are paired, their
differences are averaged over the other factors' values, and the averages, one per seed, are tested: pairs that share a
seed are not independent, so more factors give no more evidence than the seeds do. A figure is a run's last one; the
best validation stands beside it and is not tested, since choosing it looks at the outcome. Only finished runs count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import attrs

from jepa_core.ablation.folder import FoundRun, RunState
from jepa_core.ablation.grid import Cell, cell_label
from jepa_core.ablation.plan import AblationPlan
from jepa_core.comparison.paired_test import PairedTest, paired_test
from jepa_core.comparison.parting import find_parting
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.student_t import MeanInterval, mean_interval
from jepa_core.metrics import Metric

_STATE_WORDS: dict[RunState, str] = {
    "running": "is still running",
    "interrupted": "was interrupted",
    "aborted": "was aborted",
    "failed": "failed",
}
_OTHER_DATA = (
    "OTHER DATA: not all runs were judged on the same data, split and candidates; "
    "only runs that were are compared, and no cell is the best"
)


@attrs.frozen(kw_only=True)
class RunResult:
    """One run and its figure."""

    found: FoundRun
    recorded: RecordedRun | None
    """None before it has a directory."""
    final: float | None
    """The last value recorded; None when the run is not finished."""
    best: float | None
    """The best value recorded, with hindsight."""

    @property
    def seed(self) -> int:
        return self.found.planned.seed


@attrs.frozen(kw_only=True)
class CellResult:
    """One combination of values over all seeds."""

    cell: Cell
    label: str
    runs: tuple[RunResult, ...]
    final: MeanInterval | None
    """None when no run is finished."""
    best: MeanInterval | None
    against_reference: PairedTest | None
    """None for the first cell, and where the two saw other data."""

    def finals(self) -> dict[int, float]:
        """The figure of each finished run by seed."""
        return {run.seed: run.final for run in self.runs if run.final is not None}

    @property
    def is_complete(self) -> bool:
        """Whether every run has a figure."""
        return all(run.final is not None for run in self.runs)


@attrs.frozen(kw_only=True)
class LevelResult:
    """One value of a factor, over the values of all others."""

    value: str
    mean: MeanInterval | None
    """Of one average per seed; None when no run is finished."""
    finished: int
    planned: int
    test: PairedTest | None
    """Against the reference; None for the reference itself, and where data differ."""
    equal_in_all: bool
    """Every figure of every run, at every step, equals that of the run it is paired with."""
    on_other_data: bool
    """No run of it saw the data of the run that it would be paired with."""


@attrs.frozen(kw_only=True)
class FactorResult:
    """A factor with all its levels, the reference first."""

    key: str
    levels: tuple[LevelResult, ...]


@attrs.frozen(kw_only=True)
class MeasuredNull:
    """The strongest null of some runs, by the metric that is judged."""

    name: str
    low: float
    """Lowest and highest over the runs: an untrained network starts elsewhere under every seed."""
    high: float


@attrs.frozen(kw_only=True)
class AblationResult:
    """Everything that the table shows."""

    plan: AblationPlan
    path: str
    metric: Metric
    factors: tuple[FactorResult, ...]
    cells: tuple[CellResult, ...]
    best_cell: int | None
    """Index of the cell with the best mean, among those that are complete; None where none can be named."""
    nulls: tuple[MeasuredNull, ...]
    """The strongest method that learns nothing, of each run; one, unless runs differ in their data or their start."""
    notes: tuple[str, ...]


def ablation_result(
    plan: AblationPlan, path: str, runs: Sequence[tuple[FoundRun, RecordedRun | None]], metric: Metric
) -> AblationResult:
    """Judge the runs, given in the order of the plan, by one metric."""
    results = [_run_result(found, recorded, metric) for found, recorded in runs]
    by_cell = {cell: [run for run in results if run.found.planned.cell == cell] for cell in plan.cells}
    cells = tuple(_cell_result(plan, cell, by_cell, metric) for cell in plan.cells)
    factors = tuple(
        FactorResult(
            key=variation.key,
            levels=tuple(_level(index, value, variation.values[0], cells, metric) for value in variation.values),
        )
        for index, variation in enumerate(plan.variations)
    )
    return AblationResult(
        plan=plan,
        path=path,
        metric=metric,
        factors=factors,
        cells=cells,
        best_cell=_best_cell(cells, metric),
        nulls=_nulls(results, metric),
        notes=tuple(_notes(cells)),
    )


def _run_result(found: FoundRun, recorded: RecordedRun | None, metric: Metric) -> RunResult:
    final = recorded.final(metric.name) if recorded is not None and found.state == "finished" else None
    series = recorded.series.get(metric.name) if recorded is not None else None
    pick = {"higher": max, "lower": min}.get(metric.better)
    finite = [value for value in series.values.tolist() if math.isfinite(value)] if series is not None else []
    return RunResult(found=found, recorded=recorded, final=final, best=pick(finite) if pick and finite else None)


def _cell_result(
    plan: AblationPlan, cell: Cell, by_cell: Mapping[Cell, Sequence[RunResult]], metric: Metric
) -> CellResult:
    runs, reference = by_cell[cell], by_cell[plan.cells[0]]
    finals = [run.final for run in runs if run.final is not None]
    bests = [run.best for run in runs if run.best is not None and run.final is not None]
    is_compared = cell != plan.cells[0] and not _all_on_other_data(reference, runs)
    return CellResult(
        cell=cell,
        label=cell_label(plan.variations, cell),
        runs=tuple(runs),
        final=mean_interval(finals) if finals else None,
        best=mean_interval(bests) if bests else None,
        against_reference=_test(list(_pairs(reference, runs)), metric) if is_compared else None,
    )


def _level(factor: int, value: str, reference: str, cells: Sequence[CellResult], metric: Metric) -> LevelResult:
    own = [cell for cell in cells if cell.cell.values[factor] == value]
    runs = [run for cell in own for run in cell.runs]
    means = _mean_by_seed([(run.seed, run.final) for run in runs if run.final is not None])
    blocks = [(_partner(cell, factor, reference, cells), cell) for cell in own] if value != reference else []
    pairs = [pair for partner, cell in blocks for pair in _pairs(partner.runs, cell.runs)]
    on_other_data = bool(blocks) and all(_all_on_other_data(partner.runs, cell.runs) for partner, cell in blocks)
    return LevelResult(
        value=value,
        mean=mean_interval(list(means.values())) if means else None,
        finished=sum(run.final is not None for run in runs),
        planned=len(runs),
        test=_test(pairs, metric) if blocks and not on_other_data else None,
        equal_in_all=bool(pairs) and all(map(_never_part, pairs)),
        on_other_data=on_other_data,
    )


def _partner(cell: CellResult, factor: int, reference: str, cells: Sequence[CellResult]) -> CellResult:
    """The cell that differs in this factor alone, where it has the reference."""
    others = cell.cell.without(factor)
    return next(c for c in cells if c.cell.values[factor] == reference and c.cell.without(factor) == others)


def _pairs(left: Sequence[RunResult], right: Sequence[RunResult]) -> Iterator[tuple[RunResult, RunResult]]:
    """Finished runs of two cells under one seed, on one set of data."""
    by_seed = {run.seed: run for run in left}
    for run in right:
        partner = by_seed[run.seed]
        if partner.final is not None and run.final is not None and not _on_other_data(partner, run):
            yield partner, run


def _test(pairs: Sequence[tuple[RunResult, RunResult]], metric: Metric) -> PairedTest:
    first = _mean_by_seed([(left.seed, left.final) for left, _ in pairs if left.final is not None])
    second = _mean_by_seed([(right.seed, right.final) for _, right in pairs if right.final is not None])
    return paired_test(first, second, metric.better)


def _mean_by_seed(figures: Sequence[tuple[int, float]]) -> dict[int, float]:
    seeds = dict.fromkeys(seed for seed, _ in figures)
    return {seed: mean_interval([figure for other, figure in figures if other == seed]).mean for seed in seeds}


def _on_other_data(left: RunResult, right: RunResult) -> bool:
    if left.recorded is None or right.recorded is None:
        return False
    return left.recorded.same_data(right.recorded) is False


def _all_on_other_data(left: Sequence[RunResult], right: Sequence[RunResult]) -> bool:
    by_seed = {run.seed: run for run in left}
    return all(_on_other_data(by_seed[run.seed], run) for run in right)


def _never_part(pair: tuple[RunResult, RunResult]) -> bool:
    left, right = pair[0].recorded, pair[1].recorded
    if left is None or right is None:
        return False
    parting = find_parting(left, right)
    return parting.step is None and parting.shared_steps > 0


def _best_cell(cells: Sequence[CellResult], metric: Metric) -> int | None:
    pick = {"higher": max, "lower": min}.get(metric.better)
    recorded = [run.recorded for cell in cells for run in cell.runs if run.recorded is not None]
    data = {(run.data, run.candidates) for run in recorded}
    means = {
        index: cell.final.mean
        for index, cell in enumerate(cells)
        if cell.final is not None and cell.is_complete and math.isfinite(cell.final.mean)
    }
    return pick(means, key=means.__getitem__) if pick and len(means) > 1 and len(data) == 1 else None


def _nulls(runs: Sequence[RunResult], metric: Metric) -> tuple[MeasuredNull, ...]:
    found: dict[str, list[float]] = {}
    for run in runs:
        null = run.recorded.nulls.to_beat(metric.name) if run.recorded is not None and run.final is not None else None
        value = null.measured(metric.name) if null else None
        if null is not None and value is not None:
            found.setdefault(null.name, []).append(value)
    return tuple(MeasuredNull(name=name, low=min(values), high=max(values)) for name, values in found.items())


def _notes(cells: Sequence[CellResult]) -> Iterator[str]:
    runs = [run for cell in cells for run in cell.runs]
    recorded = [run.recorded for run in runs if run.recorded is not None]
    if any(left.same_data(right) is False for left, right in combinations(recorded, 2)):
        yield _OTHER_DATA
    if waiting := sum(run.found.state == "waiting" for run in runs):
        yield f"{waiting} of {len(runs)} runs {'has' if waiting == 1 else 'have'} not been run yet"
    for run in runs:
        name, why = run.found.planned.name, f": {run.found.why}" if run.found.why else ""
        if words := _STATE_WORDS.get(run.found.state):
            yield f"{name} {words}{why}"
        elif run.found.state == "finished" and run.final is None:
            yield f"{name} is finished but has not recorded the metric"
    if any(run.found.state in ("aborted", "failed") for run in runs):
        yield "means leave out runs that did not finish, which flatters values under which they tend not to"
