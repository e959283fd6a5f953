"""The verdict on a run: what it was compared with, what every must and nice came to, and what to do next.

How the outcome is decided is in `outcome`; how it looks is in `jepa_core.presentation.verdict_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import attrs
import cattrs

from jepa_core.recorded_numbers import encode
from jepa_core.watch.findings import Finding
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.nulls import EQUAL_CELLS
from jepa_core.watch.rollback_story import PastRollback

Recorded = TypeVar("Recorded")

Outcome = Literal["success", "neutral", "regression", "no baseline", "no effect"]
Ending = Literal["finished", "early stop", "abort", "non-finite"]

EXIT_FINISHED = 0
EXIT_STOPPED = 3
EXIT_MUST_FAILED = 4


@attrs.frozen(kw_only=True)
class ComparedFigure:
    """One figure beside the baseline's."""

    name: str
    value: float
    baseline: float
    change: float | None
    """Relative to the baseline, positive when better; None where that has no meaning."""
    unit: str = ""


@attrs.frozen(kw_only=True)
class HardRetrieval:
    """Retrieval among near copies of the target, beside its controls."""

    mrr: float
    null: str = ""
    """The null that is strongest there."""
    null_mrr: float | None = None
    blind_mrr: float | None = None
    """The model with another sequence's context."""
    medoid_mrr: float | None = None
    """How like all others each candidate is."""
    void: str = ""
    """Why the list says nothing; empty where it does."""


@attrs.frozen(kw_only=True)
class Retrieval:
    """Retrieval on validation beside the strongest method that learns nothing."""

    mrr: float
    top1: float | None = None
    candidates: int | None = None
    """Distinct targets; None where the run did not record it."""
    tasks: int | None = None
    """Tasks of validation; None as before."""
    null: str = ""
    """Name of the strongest null; empty where there is none."""
    null_mrr: float | None = None
    null_top1: float | None = None
    above: float | None = None
    """Mean paired difference of reciprocal ranks, model less null, with its 95 % bootstrap interval."""
    above_low: float | None = None
    above_high: float | None = None
    not_paired: str = ""
    """Why there is no such difference; empty where there is one, and where that is not known."""
    num_null_only: int | None = None
    """Targets that the null ranks first and the model does not."""
    null_only: tuple[str, ...] = ()
    """Some of their tasks, by name."""
    disabled: tuple[str, ...] = ()
    """Nulls that the recipe switches off."""
    failed: Mapping[str, str] = attrs.field(factory=dict)
    """Nulls that could not be ranked, by name, and why."""
    hard: HardRetrieval | None = None

    @property
    def is_above(self) -> bool | None:
        """Whether the model is above the strongest null beyond chance; None where that was not measured."""
        return None if self.above_low is None else self.above_low > 0


@attrs.frozen(kw_only=True)
class BestCheckpoint:
    """The checkpoint to go on with."""

    step: int
    epoch: float
    why: str
    """Such as "highest retrieval, ranks still growing, though step 420 has better alignment and uniformity"."""
    path: str = ""


@attrs.frozen(kw_only=True)
class Verdict:
    """What a run came to."""

    run: str
    """Name of the run directory."""
    outcome: Outcome
    reason: str
    """Why this outcome, in a sentence."""
    ending: Ending
    cause: str = ""
    """What stopped the run, where something did."""
    baseline: str = ""
    """Name of what it was compared with."""
    baseline_run: str = ""
    """The baseline's run directory's name; empty when there is none."""
    same_data: bool | None = None
    """Whether the baseline saw equal data; None when that is not known."""
    not_compared: str = ""
    """Why there is no baseline, where the outcome does not say it; empty where the recipe names none."""
    judgements: tuple[Judgement, ...] = ()
    compared: tuple[ComparedFigure, ...] = ()
    retrieval: Retrieval | None = None
    best: BestCheckpoint | None = None
    findings: tuple[Finding, ...] = ()
    """What the audit warned of and what was not fine while it ran, by their events' names, the most severe first."""
    rollbacks: int = 0
    """On the way here."""
    story: tuple[PastRollback, ...] = ()
    """What they were, oldest first."""
    next: str = ""
    """The command to type next, with why after two spaces and a hash."""

    @property
    def musts(self) -> tuple[Judgement, ...]:
        return tuple(judgement for judgement in self.judgements if judgement.kind == "must")

    @property
    def nices(self) -> tuple[Judgement, ...]:
        return tuple(judgement for judgement in self.judgements if judgement.kind == "nice")

    @property
    def broken(self) -> Finding | None:
        """The first critical scenario, such as a collapse, of a run that is no success."""
        if self.outcome in ("success", "no effect"):
            return None
        return next((f for f in self.findings if f.severity == "critical" and f.name.startswith("scenario ")), None)

    @property
    def every_must_held(self) -> bool:
        """A must that was never judged has not held."""
        return all(judgement.held for judgement in self.musts)

    @property
    def exit_code(self) -> int:
        """0: finished and every must held; 3: stopped; 4: finished, but a must did not hold or was not judged."""
        if self.ending in ("abort", "non-finite"):
            return EXIT_STOPPED
        return EXIT_FINISHED if self.every_must_held else EXIT_MUST_FAILED


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """As plain values for JSON, the exit code with it; non-finite numbers as text."""
    plain = encode(attrs.asdict(verdict))
    return {"run": plain.pop("run"), "outcome": plain.pop("outcome"), "exit_code": verdict.exit_code, **plain}


def verdict_from_json(recorded: Any) -> Verdict:
    """The inverse; fields of other versions are ignored.

    Raises:
        ValueError: it is not a verdict.
    """
    return _structured(_of_this_version(recorded), Verdict)


@attrs.frozen(kw_only=True)
class Headline:
    """What a list of runs has of a verdict; each as there."""

    outcome: Outcome
    baseline: str = ""


def headline_from_json(recorded: Any) -> Headline:
    """Of a verdict in JSON; a thirtieth of the time that all of it takes.

    Raises:
        ValueError: it is none.
    """
    return _structured(recorded, Headline)


def _structured(recorded: Any, kind: type[Recorded]) -> Recorded:
    try:
        return cattrs.structure(recorded, kind)
    except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"not a verdict: {error}") from error


def _of_this_version(recorded: Any) -> Any:
    """With what earlier versions recorded under other names: they had one null, counting equal cells."""
    retrieval = recorded.get("retrieval") if isinstance(recorded, dict) else None
    if not isinstance(retrieval, dict) or "baseline_mrr" not in retrieval:
        return recorded
    null = {"null": EQUAL_CELLS, "null_mrr": retrieval["baseline_mrr"], "null_top1": retrieval.get("baseline_top1")}
    return {**recorded, "retrieval": {**retrieval, **null}}
