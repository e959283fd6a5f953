"""How a run's outcome is decided, once, at its end.

    no baseline   nothing to compare with: no baseline, and no null, too few candidates or too few tasks; stopped or not
    no effect     every figure that both runs end with is the same to the last digit
    regression    the judged figure is worse than the baseline's by more than 2 %, or the run was stopped
    success       every must held, retrieval is above the strongest null beyond chance, and the judged figure is better
                  than the baseline's by more than 2 %, where there is a baseline
    neutral       anything else: not above the strongest null, not compared with it because it failed or the difference
                  was not measured, within 2 % of the baseline, a must that did not hold

The judged figure is the first of the recipe's `watch.judge` that both sides have, in its declared direction. Two per
cent is about what two seeds of one recipe differ by; only more seeds can tell smaller differences from chance. Above a
null beyond chance means that the 95 % bootstrap interval of the paired difference of reciprocal ranks lies above 0.
"""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from jepa_core.figures import difference_text, rank_text
from jepa_core.metrics import Metric
from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.next_step import Ended
from jepa_core.watch.nulls import RankedNulls, says_little, title_of
from jepa_core.watch.rollback_story import PastRollback
from jepa_core.watch.verdict import (
    BestCheckpoint,
    ComparedFigure,
    Ending,
    HardRetrieval,
    Outcome,
    Retrieval,
    Verdict,
)

SAME_WITHIN = 0.02
"""Relative difference of the judged figure below which two runs count as equal."""

_AMONG_CANDIDATES = "val.retrieval."
"""Figures of ranks, which say little where candidates are few."""

MOST_NAMED = 5
"""Tasks that a verdict names."""

VOID_ABOVE_CHANCE = 0.15
"""How far above chance a control may be before near copies say nothing."""

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
    "val.retrieval.above_null",
    "val.retrieval.candidates",
    "val.retrieval.tasks",
)
"""Figures that say nothing about what was learnt."""


def reach_verdict(
    judge: Judge,
    *,
    run: Path,
    typed: str = "",
    plugin_flags: str = "",
    ending: Ending = "finished",
    cause: str = "",
    no_baseline_because: str = "",
    best: BestCheckpoint | None = None,
    findings: Sequence[Finding] = (),
    rollbacks: int = 0,
    story: Sequence[PastRollback] = (),
    next_command: str = "",
    remedy_of: Callable[[Finding], str] = lambda _: "",
    nulls: RankedNulls | None = None,
    null_only: Sequence[str] = (),
    not_paired: str = "",
) -> Verdict:
    """The verdict on what `judge` has seen.

    Args:
        judge: has observed every row of the run.
        run: the run directory.
        typed: what to type for it where a command asks for a run; its path when not given.
        plugin_flags: what to type behind commands that use its components, or those of the baseline's run.
        ending: how the run ended; an early stop is a normal finish.
        cause: what stopped it, such as the abort rule's title or the first bad tensor.
        findings: of the audit and the run, the most severe first.
        no_baseline_because: why there is nothing to compare with, in words.
        rollbacks: how many there were on the way here, where their story is not known.
        story: the rollbacks on the way here, oldest first.
        next_command: replaces the advice that follows from the outcome, unless that is a success.
        remedy_of: the rollback that makes a finding's own change; empty where it has none, or it cannot be made.
        nulls: what learns nothing, on the run's validation candidates.
        null_only: tasks of the targets that the strongest null ranks first and the model does not.
        not_paired: why the run's last rows have no difference to the strongest null; empty where they have one. What
            earlier rows had, as before a rollback, then counts no more.
    """
    stopped = ending in ("abort", "non-finite")
    judgements = judge.conclude(finished=not stopped)
    baseline = judge.baseline
    compared = compare(judge.finals, baseline, judge.judged) if baseline else ()
    retrieval = _retrieval(judge.finals, nulls or RankedNulls(), null_only, not_paired)
    outcome: Outcome
    musts_held = all(judgement.held for judgement in judgements if judgement.kind == "must")
    if stopped:
        outcome, reason = _of_stopped(baseline, retrieval, cause or ending)
    elif baseline is None:
        outcome, reason = _without_baseline(retrieval, musts_held, no_baseline_because or "the recipe names none")
    elif _is_same(judge.finals, baseline, judge.judged):
        outcome, reason = "no effect", _NO_EFFECT.format(baseline=baseline.name)
    else:
        outcome, reason = _of_comparison(compared, musts_held, baseline.name)
        reason += _passed_over(judge, baseline, compared)
        outcome, reason = _beside_null(retrieval, outcome, reason)
    return Verdict(
        run=run.name,
        outcome=outcome,
        reason=reason,
        ending=ending,
        cause=cause,
        baseline=baseline.name if baseline else "",
        baseline_run=baseline.run if baseline else "",
        not_compared="" if baseline or outcome == "no baseline" else no_baseline_because,
        same_data=baseline.same_data if baseline else None,
        judgements=judgements,
        compared=compared,
        retrieval=retrieval,
        best=best,
        findings=tuple(findings),
        rollbacks=len(story) or rollbacks,
        story=tuple(story),
        # A success is gone on with, whatever fired on the way.
        next=(next_command if outcome != "success" else "")
        or Ended(
            outcome=outcome,
            run=run,
            judge=judge,
            judgements=judgements,
            findings=findings,
            remedy_of=remedy_of,
            # A verdict on few candidates says nothing that training longer could mend.
            is_below_null=outcome == "neutral" and retrieval is not None and retrieval.is_above is False,
            beyond_reach=nulls.strongest.beyond_reach if nulls is not None and nulls.strongest is not None else "",
            is_stopped=stopped,
            name=typed or shlex.quote(str(run)),
            flags=plugin_flags,
        ).next_command(),
    )


def compare(
    finals: Mapping[str, float], baseline: BaselineValues, judged: Mapping[str, Metric]
) -> tuple[ComparedFigure, ...]:
    """The judged figures that both sides end with, beside each other."""
    compared = []
    has_few = says_little(finals.get("val.retrieval.candidates"), tasks=None)
    for name, metric in judged.items():
        value, other = finals.get(name), baseline.final(name)
        if value is None or other is None or (name.startswith(_AMONG_CANDIDATES) and has_few):
            continue
        rise = (value - other) / abs(other) if other else math.nan
        change = (rise if metric.better == "higher" else -rise) if math.isfinite(rise) else None
        compared.append(ComparedFigure(name=name, value=value, baseline=other, change=change, unit=metric.unit))
    return tuple(compared)


def _of_stopped(baseline: BaselineValues | None, retrieval: Retrieval | None, cause: str) -> tuple[Outcome, str]:
    has_null = retrieval is not None and retrieval.null and not _says_little(retrieval)
    is_compared = baseline is not None or has_null
    return ("regression" if is_compared else "no baseline"), f"stopped: {cause}"


def _without_baseline(retrieval: Retrieval | None, musts_held: bool, because: str) -> tuple[Outcome, str]:
    """The strongest null is what a run is compared with that names no baseline."""
    if retrieval is not None and not retrieval.null and (retrieval.disabled or retrieval.failed):
        return "no baseline", f"{because}, and no null is left on"
    if retrieval is None or not retrieval.null:
        return "no baseline", because
    if _says_little(retrieval):
        return "no baseline", _says_little(retrieval)
    if not retrieval.is_above:
        return "neutral", _not_above(retrieval)
    if not musts_held:
        return "neutral", f"{_above(retrieval)}, but not every must held"
    return "success", _above(retrieval)


def _beside_null(retrieval: Retrieval | None, outcome: Outcome, reason: str) -> tuple[Outcome, str]:
    """What a comparison with a baseline comes to, with what learns nothing beside it."""
    if retrieval is None or outcome == "regression":
        return outcome, reason
    if not retrieval.null and not retrieval.failed:
        # None fits the data, or the recipe switches all off, which the verdict names.
        return outcome, reason
    if _says_little(retrieval):
        return "neutral", f"{_says_little(retrieval)}; {reason}"
    if not retrieval.is_above:
        return "neutral", f"{_not_above(retrieval)}; {reason}"
    return outcome, f"{reason}, and {_above(retrieval)}" if outcome == "success" else reason


def _says_little(retrieval: Retrieval) -> str:
    return says_little(retrieval.candidates, retrieval.tasks)


def _not_above(retrieval: Retrieval) -> str:
    """That it is not, or that it was not measured, which says nothing of the model."""
    if not retrieval.null:
        return f"not compared with any null: {', '.join(map(title_of, retrieval.failed))} could not be ranked"
    if retrieval.is_above is None:
        why = retrieval.not_paired or "no row has the difference"
        return f"not compared with any null: {title_of(retrieval.null)} is the strongest, and {why}"
    return f"not above {title_of(retrieval.null)}, which learns nothing: {_difference(retrieval)}"


def _above(retrieval: Retrieval) -> str:
    return f"above {title_of(retrieval.null)}, the strongest null: {_difference(retrieval)}"


def _difference(retrieval: Retrieval) -> str:
    """Such as "MRR +0.048 [0.031, 0.066]", or "MRR −0.110 [−0.192, −0.030]"."""
    if retrieval.above is None or retrieval.above_low is None or retrieval.above_high is None:
        return f"MRR {rank_text(retrieval.mrr)} beside {rank_text(retrieval.null_mrr or 0)}"
    return f"MRR {difference_text(retrieval.above, retrieval.above_low, retrieval.above_high)}"


def _of_comparison(compared: Sequence[ComparedFigure], musts_held: bool, baseline: str) -> tuple[Outcome, str]:
    if not compared:
        return "neutral", f"no judged figure is shared with {baseline}"
    figure = compared[0]
    if figure.change is None:
        outcome: Outcome = "neutral" if math.isfinite(figure.value) else "regression"
        return outcome, f"{figure.name}: {figure.value:g} cannot be set against {figure.baseline:g}"
    return _by_change(figure, figure.change, musts_held, baseline)


def _passed_over(judge: Judge, baseline: BaselineValues, compared: Sequence[ComparedFigure]) -> str:
    """Which figures would have decided before the one that did, had the baseline reported them."""
    decided = compared[0].name if compared else ""
    before = itertools.takewhile(lambda name: name != decided, judge.judged)
    lacking = [name for name in before if name in judge.finals and baseline.final(name) is None]
    return f"; {baseline.name} has no {' and no '.join(lacking)} to judge by" if lacking else ""


def _by_change(figure: ComparedFigure, change: float, musts_held: bool, baseline: str) -> tuple[Outcome, str]:
    amount = f"{figure.name} {abs(change) * 100:.1f} %"
    if change < -SAME_WITHIN:
        return "regression", f"{amount} worse than {baseline}"
    if change <= SAME_WITHIN:
        return "neutral", f"{figure.name} within {SAME_WITHIN * 100:.0f} % of {baseline}"
    if not musts_held:
        return "neutral", f"{amount} better than {baseline}, but not every must held"
    return "success", f"{amount} better than {baseline}"


def _is_same(finals: Mapping[str, float], baseline: BaselineValues, judged: Collection[str]) -> bool:
    """Whether every figure that both recorded runs end with is equal, a judged one among them."""
    if not baseline.series:
        return False
    theirs = baseline.finals()
    shared = [name for name in finals if name in theirs and not name.startswith(_INCIDENTAL)]
    return any(name in judged for name in shared) and all(finals[name] == theirs[name] for name in shared)


def _retrieval(
    finals: Mapping[str, float], nulls: RankedNulls, null_only: Sequence[str], not_paired: str
) -> Retrieval | None:
    mrr = finals.get("val.retrieval.mrr")
    if mrr is None:
        return None
    strongest, candidates = nulls.strongest, finals.get("val.retrieval.candidates")
    tasks = finals.get("val.retrieval.tasks")
    return Retrieval(
        mrr=mrr,
        top1=finals.get("val.retrieval.top1"),
        candidates=None if candidates is None else int(candidates),
        tasks=None if tasks is None else int(tasks),
        null=strongest.name if strongest else "",
        null_mrr=strongest.mrr if strongest else None,
        null_top1=strongest.top1 if strongest else None,
        above=None if not_paired else finals.get("val.retrieval.above_null"),
        above_low=None if not_paired else finals.get("val.retrieval.above_null_low"),
        above_high=None if not_paired else finals.get("val.retrieval.above_null_high"),
        not_paired=not_paired,
        num_null_only=len(null_only),
        null_only=tuple(dict.fromkeys(null_only))[:MOST_NAMED],
        disabled=nulls.disabled,
        failed=nulls.failed,
        hard=_among_copies(finals, nulls),
    )


def _among_copies(finals: Mapping[str, float], nulls: RankedNulls) -> HardRetrieval | None:
    mrr = finals.get("val.hard.mrr")
    if mrr is None:
        return None
    controls = {name: finals.get(f"val.hard.{name}_mrr") for name in ("blind", "medoid")}
    chance = finals.get("val.hard.chance_mrr", math.nan)
    void = [
        f"the {name} control, which cannot know the target, reaches {rank_text(value)} "
        f"where chance is {rank_text(chance)}"
        for name, value in controls.items()
        if value is not None and value > chance + VOID_ABOVE_CHANCE
    ]
    return HardRetrieval(
        mrr=mrr,
        null=nulls.strongest_hard,
        null_mrr=finals.get("val.hard.null_mrr"),
        blind_mrr=controls["blind"],
        medoid_mrr=controls["medoid"],
        void="; ".join(void),
    )
