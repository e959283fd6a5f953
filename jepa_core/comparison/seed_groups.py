"""Runs of one recipe under several seeds, as one group with mean and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from jepa_core.comparison.recipe_changes import ChangedKey, changed_keys, differs_by_seed_only
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.student_t import MeanInterval, mean_interval
from jepa_core.recipes.writing import value_to_toml

_KEYS_IN_LABEL = 2


@attrs.frozen(kw_only=True)
class SeedGroup:
    """One recipe's runs on one set of data, one run per seed."""

    label: str
    runs: tuple[RecordedRun, ...]

    def on_other_data(self, other: SeedGroup) -> bool:
        """Whether the groups are known to have seen different data: their figures cannot be compared."""
        return self.runs[0].same_data(other.runs[0]) is False

    def figure(self, metric: str) -> MeanInterval | None:
        """Mean and interval of the final values; None when no run has one."""
        values = [value for run in self.runs if (value := run.final(metric)) is not None]
        return mean_interval(values) if values else None

    def by_seed(self, metric: str) -> dict[int, float]:
        """The final value of each run whose seed is known."""
        finals = ((run.seed, run.final(metric)) for run in self.runs)
        return {seed: value for seed, value in finals if seed is not None and value is not None}


@attrs.frozen(kw_only=True)
class Grouping:
    """All groups, in the order of their first runs."""

    groups: tuple[SeedGroup, ...]
    repeats: tuple[str, ...]
    """Names of runs left out of their group: a later run has the same recipe and seed."""


def group_by_recipe(runs: Sequence[RecordedRun]) -> Grouping:
    """Put runs together that differ in nothing but the seed."""
    members: list[list[RecordedRun]] = []
    for run in runs:
        group = next((group for group in members if _belong_together(group[0], run)), None)
        if group is None:
            members.append([run])
        else:
            group.append(run)
    kept = [_one_per_seed(group) for group in members]
    names = {run.name for group in kept for run in group}
    groups = tuple(SeedGroup(label=label, runs=tuple(group)) for label, group in zip(_labels(kept), kept, strict=True))
    return Grouping(groups=groups, repeats=tuple(run.name for run in runs if run.name not in names))


def _belong_together(one: RecordedRun, other: RecordedRun) -> bool:
    return (
        one.data == other.data and one.candidates == other.candidates and differs_by_seed_only(one.recipe, other.recipe)
    )


def _one_per_seed(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    newest = {run.seed: run for run in runs}
    return [run for run in runs if newest[run.seed] is run or run.seed is None]


def _labels(groups: Sequence[Sequence[RecordedRun]]) -> Iterator[str]:
    """A single run goes by its own name, a group by its recipe's, with what sets it apart where that is not enough."""
    names = [group[0].name if len(group) == 1 else group[0].recipe_name for group in groups]
    for index, name in enumerate(names):
        namesakes = [other for other, same in enumerate(names) if same == name]
        if len(namesakes) == 1:
            yield name
            continue
        changes = changed_keys([groups[other][0].recipe for other in namesakes])
        yield f"{name} ({_what_differs(changes, namesakes.index(index)) or groups[index][0].name})"


def _what_differs(changes: Sequence[ChangedKey], index: int) -> str:
    parts = [f"{change.key}={_short(change.values[index])}" for change in changes]
    return ", ".join([*parts[:_KEYS_IN_LABEL], *(["…"] if len(parts) > _KEYS_IN_LABEL else [])])


def _short(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else value_to_toml(value)
