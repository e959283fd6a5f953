"""What an ablation is to do, as its folder records it in ablation.json. Knows no run's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import cattrs

from jepa_core.ablation.grid import Cell, cells_of
from jepa_core.ablation.recipe_check import CheckedGrid, GridRequest
from jepa_core.ablation.variation import Variation
from jepa_core.metrics import Metric


@attrs.frozen(kw_only=True)
class PlannedRun:
    """One cell under one seed."""

    cell: Cell
    seed: int

    @property
    def name(self) -> str:
        """The recipe's name in it; its run directory's name begins so."""
        return self.cell.run_name(self.seed)


@attrs.frozen(kw_only=True)
class Outcome:
    """How the last attempt at a run ended, told by its process."""

    exit_code: int
    """Negative: the signal that ended it."""
    message: str = ""
    """Its last words, where it failed."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the program gave up by itself; 128 and above, or a signal, is somebody else's doing."""
        return self.exit_code in (1, 2)


@attrs.frozen(kw_only=True)
class AblationPlan:
    """Factors, seeds and recipes."""

    name: str
    """The recipe's."""
    fingerprint: str
    recipe: str
    """The file that it was made from."""
    overrides: tuple[str, ...]
    variations: tuple[Variation, ...]
    seeds: tuple[int, ...]
    """The same in every cell, so that runs pair."""
    metric: Metric
    """What the table judges by unless told otherwise."""
    plugin_files: tuple[tuple[str, str], ...] = ()
    blocked_plugins: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The whole grid."""
        return cells_of(self.variations)

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs, every cell under one seed before the next seed, so that what is done is always balanced."""
        return tuple(PlannedRun(cell=cell, seed=seed) for seed in self.seeds for cell in self.cells)


def plan_of(request: GridRequest, checked: CheckedGrid, num_seeds: int) -> AblationPlan:
    """The plan for a checked grid under the recipe's own seed and those after it."""
    return AblationPlan(
        name=checked.name,
        fingerprint=checked.fingerprint,
        recipe=checked.path,
        overrides=request.overrides,
        variations=request.variations,
        seeds=tuple(range(checked.seed, checked.seed + num_seeds)),
        metric=checked.metric,
        plugin_files=checked.plugin_files,
        blocked_plugins=request.blocked_plugins,
    )


def with_seeds_of(plan: AblationPlan, earlier: AblationPlan) -> AblationPlan:
    """The plan as it is recorded: seeds that were asked for before stay in it."""
    return attrs.evolve(plan, seeds=tuple(sorted({*plan.seeds, *earlier.seeds})))


def plan_to_json(plan: AblationPlan, outcomes: Mapping[str, Outcome], found: Mapping[str, str]) -> dict[str, Any]:
    """What ablation.json says.

    Args:
        plan: the plan.
        outcomes: by run name.
        found: run directories by run name.
    """
    return {**attrs.asdict(plan), "cells": [_cell(plan, cell, outcomes, found) for cell in plan.cells]}


def _cell(plan: AblationPlan, cell: Cell, outcomes: Mapping[str, Outcome], found: Mapping[str, str]) -> dict[str, Any]:
    runs = [(seed, cell.run_name(seed)) for seed in plan.seeds]
    return {
        "cell": cell.name,
        "values": list(cell.values),
        "runs": [
            {
                "name": name,
                "seed": seed,
                "run": found.get(name),
                "outcome": attrs.asdict(outcomes[name]) if name in outcomes else None,
            }
            for seed, name in runs
        ],
    }


def plan_from_json(recorded: Mapping[str, Any]) -> AblationPlan:
    """The plan of ablation.json.

    Raises:
        ValueError: it cannot be read as one.
    """
    try:
        return cattrs.structure({key: value for key, value in recorded.items() if key != "cells"}, AblationPlan)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"not the plan of an ablation: {type(error).__name__}") from error


def outcomes_from_json(recorded: Mapping[str, Any]) -> dict[str, Outcome]:
    """How attempts ended, by run name; what cannot be read is left out."""
    outcomes = {}
    for run in _runs(recorded.get("cells")):
        try:
            outcomes[str(run["name"])] = cattrs.structure(run["outcome"], Outcome)
        except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
            continue
    return outcomes


def _runs(cells: Any) -> Iterator[Mapping[str, Any]]:
    for cell in cells if isinstance(cells, list) else []:
        runs = cell.get("runs") if isinstance(cell, Mapping) else None
        yield from (run for run in (runs if isinstance(runs, list) else []) if isinstance(run, Mapping))
