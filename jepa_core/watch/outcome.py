"""How a run's outcome is decided, once, at its end.

    no baseline   nothing to compare with
    no effect     every figure that both runs end with is the same to the last digit
    regression    the run was stopped, or the judged figure is worse than the baseline's by more than 2 %
    success       every must held, and the judged figure is better by more than 2 %
    neutral       anything else: within 2 %, or better while a must did not hold

The judged figure is retrieval's MRR on validation, and the raw InfoNCE on validation where either side lacks the
former: never a weighted sum. Two per cent is about what two seeds of one recipe differ by; only more seeds can tell
smaller differences from chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from jepa_core.run_directory.naming import typed_name
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.rollback_story import PastRollback
from jepa_core.watch.verdict import BestCheckpoint, ComparedFigure, Ending, Outcome, Retrieval, Verdict

SAME_WITHIN = 0.02
"""Relative difference of the judged figure below which two runs count as equal."""

JUDGED_FIGURES = {"val.retrieval.mrr": 1, "val.loss.info_nce.raw": -1}
"""What a run is compared by, in this order, and the sign of better."""

_NO_EFFECT = "Every figure equals {baseline}'s to the last digit: the change never reached the model on this data."

_INCIDENTAL = (
    "step",
    "epoch",
    "lr",
    "time.",
    "throughput.",
    "memory.",
    "val.retrieval.null",
    "val.hard.null",
    "val.retrieval.candidates",
)
"""Figures that say nothing about what was learnt."""


def reach_verdict(
    judge: Judge,
    *,
    run: Path,
    ending: Ending = "finished",
    cause: str = "",
    no_baseline_because: str = "",
    best: BestCheckpoint | None = None,
    findings: Sequence[Finding] = (),
    rollbacks: int = 0,
    story: Sequence[PastRollback] = (),
    next_command: str = "",
) -> Verdict:
    """The verdict on what `judge` has seen.

    Args:
        judge: has observed every row of the run.
        run: the run directory.
        ending: how the run ended; an early stop is a normal finish.
        cause: what stopped it, such as the abort rule's title or the first bad tensor.
        findings: of the audit and the run, the most severe first.
        no_baseline_because: why there is nothing to compare with, in words.
        rollbacks: how many there were on the way here, where their story is not known.
        story: the rollbacks on the way here, oldest first.
        next_command: replaces the advice that follows from the outcome.
    """
    stopped = ending in ("abort", "non-finite")
    judgements = judge.conclude(finished=not stopped)
    baseline = judge.baseline
    compared = compare(judge.finals, baseline) if baseline else ()
    outcome: Outcome
    musts_held = all(judgement.held for judgement in judgements if judgement.kind == "must")
    if stopped:
        outcome, reason = _of_stopped(baseline, cause or ending)
    elif baseline is None:
        outcome, reason = "no baseline", no_baseline_because or "the recipe names none"
    elif _is_same(judge.finals, baseline):
        outcome, reason = "no effect", _NO_EFFECT.format(baseline=baseline.name)
    else:
        outcome, reason = _of_comparison(compared, musts_held, baseline.name)
    return Verdict(
        run=run.name,
        outcome=outcome,
        reason=reason,
        ending=ending,
        cause=cause,
        baseline=baseline.name if baseline else "",
        baseline_run=baseline.run if baseline else "",
        same_data=baseline.same_data if baseline else None,
        judgements=judgements,
        compared=compared,
        retrieval=_retrieval(judge),
        best=best,
        findings=tuple(findings),
        rollbacks=len(story) or rollbacks,
        story=tuple(story),
        next=next_command or _next_command(outcome, run, baseline, stopped, judgements),
    )


def compare(finals: dict[str, float], baseline: BaselineValues) -> tuple[ComparedFigure, ...]:
    """The judged figures that both sides end with, beside each other."""
    compared = []
    for name, sign in JUDGED_FIGURES.items():
        value, other = finals.get(name), baseline.final(name)
        if value is None or other is None:
            continue
        change = sign * (value - other) / abs(other) if other else math.nan
        compared.append(
            ComparedFigure(name=name, value=value, baseline=other, change=change if math.isfinite(change) else None)
        )
    return tuple(compared)


def _of_stopped(baseline: BaselineValues | None, cause: str) -> tuple[Outcome, str]:
    return ("no baseline" if baseline is None else "regression"), f"stopped: {cause}"


def _of_comparison(compared: Sequence[ComparedFigure], musts_held: bool, baseline: str) -> tuple[Outcome, str]:
    if not compared:
        return "neutral", f"no judged figure is shared with {baseline}"
    figure = compared[0]
    if figure.change is None:
        outcome: Outcome = "neutral" if math.isfinite(figure.value) else "regression"
        return outcome, f"{figure.name}: {figure.value:g} cannot be set against {figure.baseline:g}"
    return _by_change(figure, figure.change, musts_held, baseline)


def _by_change(figure: ComparedFigure, change: float, musts_held: bool, baseline: str) -> tuple[Outcome, str]:
    amount = f"{figure.name} {abs(change) * 100:.1f} %"
    if change < -SAME_WITHIN:
        return "regression", f"{amount} worse than {baseline}"
    if change <= SAME_WITHIN:
        return "neutral", f"{figure.name} within {SAME_WITHIN * 100:.0f} % of {baseline}"
    if not musts_held:
        return "neutral", f"{amount} better than {baseline}, but not every must held"
    return "success", f"{amount} better than {baseline}"


def _is_same(finals: dict[str, float], baseline: BaselineValues) -> bool:
    """Whether every figure that both recorded runs end with is equal, a validation figure among them."""
    if not baseline.series:
        return False
    theirs = baseline.finals()
    shared = [name for name in finals if name in theirs and not name.startswith(_INCIDENTAL)]
    return any(name in JUDGED_FIGURES for name in shared) and all(finals[name] == theirs[name] for name in shared)


def _retrieval(judge: Judge) -> Retrieval | None:
    mrr = judge.finals.get("val.retrieval.mrr")
    if mrr is None:
        return None
    return Retrieval(
        mrr=mrr,
        top1=judge.finals.get("val.retrieval.top1"),
        null_mrr=judge.finals.get("val.retrieval.null_mrr"),
        null_top1=judge.finals.get("val.retrieval.null_top1"),
    )


def _next_command(
    outcome: Outcome, run: Path, baseline: BaselineValues | None, stopped: bool, judgements: Sequence[Judgement]
) -> str:
    name = typed_name(run)
    if stopped or (baseline is None and any(j.kind == "must" and not j.held for j in judgements)):
        return f"jepa monitor {name} --once  # the last figures and events"
    if outcome == "success" or baseline is None:
        return f"jepa eval {name}  # how the best checkpoint does on other data"
    if baseline.run:
        return f"jepa recipe diff {baseline.path}/recipe.toml {run}/recipe.toml  # what was changed"
    return f"jepa monitor {name} --once  # the last figures and events"
