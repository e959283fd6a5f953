"""Nulls as a run recorded them: methods that learn nothing, ranked once on the run's own validation candidates.

What computes them is in `jepa_core.engine.nulls`; here are the figures, for verdicts, tables and the monitor. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from jepa_core.figures import rank_text
from jepa_core.recorded_numbers import decode_number

FEWEST_CANDIDATES = 20
"""With fewer distinct targets a rank says too little for a verdict."""

FEWEST_TASKS = 10
"""With fewer tasks an interval over tasks is too narrow: of nine, chance alone is above a null too often."""

NULLS, STRONGEST, STRONGEST_HARD, DISABLED = "nulls", "strongest", "strongest_hard", "nulls_disabled"
FAILED = "nulls_failed"
"""Keys of environment.json."""

EQUAL_CELLS = "equal_cells"
"""The one null that runs of earlier versions recorded."""


HARDER_DATA = "Make targets harder to find: in noisier or other data, further ahead, or in longer windows"
"""What to do about a null that nothing can be above."""


def are_weights(found: object) -> bool:
    """Whether a null's `fit` returned what it promises: names with finite numbers."""
    return isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(weight, int | float) and math.isfinite(weight)
        for name, weight in found.items()
    )


def says_little(candidates: float | None, tasks: float | None) -> str:
    """Why validation is too small to say anything of a difference to a null; empty where it is not, or not known."""
    if candidates is not None and candidates < FEWEST_CANDIDATES:
        return f"{_counted(candidates, 'candidate')}: with fewer than {FEWEST_CANDIDATES} retrieval says nothing"
    if tasks is not None and tasks < FEWEST_TASKS:
        number = _counted(tasks, "task")
        return f"validation has {number}: with fewer than {FEWEST_TASKS} a difference to a null says nothing"
    return ""


def _counted(number: float, noun: str) -> str:
    return f"{number:.0f} {noun}{'' if number == 1 else 's'}"


@attrs.frozen(kw_only=True)
class NullFigures:
    """One null on a run's validation candidates."""

    name: str
    mrr: float
    top1: float
    hard_mrr: float | None = None
    """Among hard candidates; None where there are none."""
    weights: Mapping[str, float] = attrs.field(factory=dict)
    """What was fitted on training data, by name."""
    room: float | None = None
    """Lower end of the 95 % interval by which a model that finds every target first would be above it; None where that
    was not measured."""

    @property
    def beyond_reach(self) -> str:
        """Why no model can be above it, with its figure; empty where one can be, and where that is not known."""
        if self.room is None or self.room > 0:
            return ""
        if self.top1 == 1:
            found = f"finds every target (MRR {rank_text(self.mrr)}): no model can be above it"
            return f"{self.title}, which learns nothing, {found}"
        return (
            f"{self.title}, which learns nothing, has MRR {rank_text(self.mrr)}: "
            "a model that finds every target would not be above it beyond chance"
        )

    @property
    def title(self) -> str:
        """As it is shown, such as "pair analogy"."""
        return title_of(self.name)

    def measured(self, metric: str) -> float | None:
        """Its own figure by one of the metrics that models are measured by; None for any other metric."""
        figures = {"val.retrieval.mrr": self.mrr, "val.retrieval.top1": self.top1, "val.hard.mrr": self.hard_mrr}
        return figures.get(metric)


@attrs.frozen(kw_only=True)
class RankedNulls:
    """All nulls of a run."""

    figures: tuple[NullFigures, ...] = ()
    """The strongest on the validation candidates first."""
    strongest_hard: str = ""
    """The strongest among hard candidates; empty where there are none."""
    disabled: tuple[str, ...] = ()
    """Switched off in the recipe."""
    failed: Mapping[str, str] = attrs.field(factory=dict)
    """Those that could not be ranked, by name, and why."""

    @property
    def strongest(self) -> NullFigures | None:
        """The one to beat; None where no null fits the data."""
        return self.figures[0] if self.figures else None

    def get(self, name: str) -> NullFigures | None:
        """The null of a name; None when it is not among them."""
        return next((figures for figures in self.figures if figures.name == name), None)

    @property
    def hardest(self) -> NullFigures | None:
        """The one to beat among hard candidates."""
        return self.get(self.strongest_hard)

    def to_beat(self, metric: str) -> NullFigures | None:
        """The one that a figure of `metric` stands beside: among hard candidates another may be the strongest."""
        null = self.hardest if metric.startswith("val.hard.") else self.strongest
        return null if null is not None and null.measured(metric) is not None else None

    def first_row(self) -> dict[str, float]:
        """What the first validation row says of every null."""
        row: dict[str, float] = {}
        for null in self.figures:
            row |= {f"val.retrieval.null.{null.name}.mrr": null.mrr, f"val.retrieval.null.{null.name}.top1": null.top1}
            if null.hard_mrr is not None:
                row[f"val.hard.null.{null.name}.mrr"] = null.hard_mrr
        return row

    def to_environment(self) -> dict[str, Any]:
        """For environment.json; `from_environment` reads it back."""
        nulls = {null.name: attrs.asdict(null, filter=lambda field, _: field.name != "name") for null in self.figures}
        strongest = self.strongest.name if self.strongest else ""
        return {
            NULLS: nulls,
            STRONGEST: strongest,
            STRONGEST_HARD: self.strongest_hard,
            DISABLED: list(self.disabled),
            FAILED: dict(self.failed),
        }

    @staticmethod
    def from_environment(environment: Mapping[str, Any]) -> RankedNulls | None:
        """What `to_environment` gave; None where the run recorded no nulls. Damaged entries are left out."""
        recorded = environment.get(NULLS)
        if not isinstance(recorded, dict):
            return None
        figures = [null for name, entry in recorded.items() if (null := _figures(name, entry)) is not None]
        strongest = environment.get(STRONGEST)
        figures.sort(key=lambda null: (null.name != strongest, -null.mrr))
        hard, disabled, failed = (environment.get(key) for key in (STRONGEST_HARD, DISABLED, FAILED))
        return RankedNulls(
            figures=tuple(figures),
            strongest_hard=hard if isinstance(hard, str) else "",
            disabled=tuple(map(str, disabled)) if isinstance(disabled, list) else (),
            failed={str(name): str(why) for name, why in failed.items()} if isinstance(failed, dict) else {},
        )

    @staticmethod
    def from_first_row(row: Mapping[str, float]) -> RankedNulls:
        """What a validation row of an earlier version says: counting equal cells alone."""
        mrr = row.get(f"val.retrieval.null.{EQUAL_CELLS}.mrr")
        if mrr is None:
            return RankedNulls()
        top1 = row.get(f"val.retrieval.null.{EQUAL_CELLS}.top1", 0.0)
        return RankedNulls(figures=(NullFigures(name=EQUAL_CELLS, mrr=mrr, top1=top1),))


def title_of(name: str) -> str:
    """A null's name as it is shown."""
    return name.replace("_", " ")


def _figures(name: str, entry: Any) -> NullFigures | None:
    if not isinstance(entry, dict):
        return None
    mrr, top1 = decode_number(entry.get("mrr")), decode_number(entry.get("top1"))
    if mrr is None or top1 is None:
        return None
    weights = entry.get("weights")
    plain = {key: decode_number(value) for key, value in weights.items()} if isinstance(weights, dict) else {}
    return NullFigures(
        name=name,
        mrr=mrr,
        top1=top1,
        hard_mrr=decode_number(entry.get("hard_mrr")),
        room=decode_number(entry.get("room")),
        weights={key: value for key, value in plain.items() if value is not None},
    )
