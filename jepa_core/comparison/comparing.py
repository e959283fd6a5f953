"""The whole comparison of several runs, as `jepa compare` shows it. Reads no file and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import attrs

from jepa_core.comparison.alignment import AlignedMetric, align
from jepa_core.comparison.paired_test import PairedTest, paired_test
from jepa_core.comparison.parting import COSTS, Parting, find_parting
from jepa_core.comparison.recipe_changes import ChangedKey, changed_keys
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.seed_groups import Grouping, SeedGroup, group_by_recipe
from jepa_core.errors import RecipeError
from jepa_core.metrics import Metric
from jepa_core.recipes.faults import did_you_mean

_FALLBACK = "loss.total"
"""Where no run reports what its recipe names."""
_ENDED = ("finished", "aborted", "rolled_back")


@attrs.frozen(kw_only=True)
class GroupTest:
    """The second group against the first on one metric."""

    metric: str
    left: str
    right: str
    test: PairedTest


@attrs.frozen(kw_only=True)
class Comparison:
    """What two or more runs are beside each other."""

    runs: tuple[RecordedRun, ...]
    groups: tuple[SeedGroup, ...]
    same_data: bool | None
    """None when a run does not say."""
    recipe_changes: tuple[ChangedKey, ...]
    """One value per run."""
    partings: tuple[Parting, ...]
    """Each run but the first, against an earlier one that is not on other data, of its seed where there is one."""
    judged: tuple[AlignedMetric, ...]
    """The metrics asked for, at the steps that all runs share."""
    metrics: tuple[Metric, ...]
    """Those with a final figure worth showing, the judged ones first."""
    tests: tuple[GroupTest, ...]
    notes: tuple[str, ...]


def compare_runs(runs: Sequence[RecordedRun], metrics: Sequence[str] = ()) -> Comparison:
    """Compare runs by `metrics`, or by those that their recipes name.

    Raises:
        RecipeError: fewer than two runs, one run twice, or a metric that none recorded.
    """
    _refuse(runs)
    runs = _told_apart(runs)
    judged = _judged(runs, metrics)
    grouping = group_by_recipe(runs)
    declared = _declared(runs)
    shown = judged if metrics else (*judged, *(name for name in _directed(runs, declared) if name not in judged))
    return Comparison(
        runs=tuple(runs),
        groups=grouping.groups,
        same_data=_same_data(runs),
        recipe_changes=changed_keys([run.recipe for run in runs]),
        partings=tuple(_partings(runs)),
        judged=tuple(align(name, runs) for name in judged),
        metrics=tuple(declared.get(name, Metric(name, "")) for name in shown),
        tests=tuple(_tests(grouping.groups, judged, declared)),
        notes=(*_notes_on_runs(runs), *_notes_on_ends(runs), *_notes_on_repeats(grouping)),
    )


def _same_data(runs: Sequence[RecordedRun]) -> bool | None:
    answers = {left.same_data(right) for left, right in combinations(runs, 2)}
    return False if False in answers else None if None in answers else True


def _refuse(runs: Sequence[RecordedRun]) -> None:
    if len(runs) < 2:
        raise RecipeError(
            "A comparison takes two runs or more. For example: jepa compare gentle_vq-20261123-101500 latest"
        )
    paths = [Path(run.path).resolve() for run in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise RecipeError(f"{path} is given {paths.count(path)} times: give each run once.")


def _told_apart(runs: Sequence[RecordedRun]) -> tuple[RecordedRun, ...]:
    """Runs of one name, from different folders, go by their paths."""
    names = [run.name for run in runs]
    return tuple(attrs.evolve(run, name=run.path) if names.count(run.name) > 1 else run for run in runs)


def _judged(runs: Sequence[RecordedRun], metrics: Sequence[str]) -> tuple[str, ...]:
    recorded = {name for run in runs for name in run.series}
    if not metrics:
        named = dict.fromkeys(name for run in runs for name in run.judged if name in recorded)
        return tuple(named) or ((_FALLBACK,) if _FALLBACK in recorded else ())
    unknown = [name for name in metrics if name not in recorded]
    if unknown:
        hint = did_you_mean(unknown[0], sorted(recorded))
        raise RecipeError(f"--metric {unknown[0][:100]}: none of these runs recorded it.{hint}")
    return tuple(dict.fromkeys(metrics))


def _declared(runs: Sequence[RecordedRun]) -> dict[str, Metric]:
    return {name: metric for run in reversed(runs) for name, metric in run.declared.items()}


def _directed(runs: Sequence[RecordedRun], declared: dict[str, Metric]) -> list[str]:
    """Recorded metrics of which more or less is better, but for costs."""
    recorded = dict.fromkeys(name for run in runs for name in run.series)
    directed = (name for name in recorded if name in declared and declared[name].better != "neither")
    return sorted((name for name in directed if not name.startswith(COSTS)), key=_validation_first)


def _validation_first(name: str) -> bool:
    return not name.startswith("val.")


def _partings(runs: Sequence[RecordedRun]) -> Iterator[Parting]:
    for index, run in enumerate(runs):
        earlier = [other for other in runs[:index] if other.same_data(run) is not False]
        if earlier:
            yield find_parting(next((other for other in earlier if other.seed == run.seed), earlier[0]), run)


def _tests(groups: Sequence[SeedGroup], judged: Sequence[str], declared: dict[str, Metric]) -> Iterator[GroupTest]:
    for left, right in combinations(groups, 2):
        if left.on_other_data(right):
            continue
        for name in judged:
            better = declared[name].better if name in declared else "neither"
            first, second = left.by_seed(name), right.by_seed(name)
            if first and second:
                test = paired_test(first, second, better)
                yield GroupTest(metric=name, left=left.label, right=right.label, test=test)


def _notes_on_runs(runs: Sequence[RecordedRun]) -> Iterator[str]:
    for run in runs:
        if not run.recipe:
            yield f"the recipe of {run.name} cannot be read"
        if not run.series:
            yield f"{run.name} has recorded no figure"
        elif run.state not in _ENDED:
            yield f"{run.name} is {run.state}: its figures so far count"


def _notes_on_ends(runs: Sequence[RecordedRun]) -> Iterator[str]:
    """Runs of different length: what they came to is not what they were at equal steps."""
    ends = sorted({run.last_step for run in runs if run.last_step is not None})
    if len(ends) > 1:
        yield (
            f"these runs end between step {ends[0]:,} and step {ends[-1]:,}: final figures and tests are of where each "
            "one ended"
        )


def _notes_on_repeats(grouping: Grouping) -> Iterator[str]:
    if any(len(group.runs) > 1 for group in grouping.groups):
        for name in grouping.repeats:
            yield f"{name} is left out of its group's mean: a later run has the same recipe and seed"
