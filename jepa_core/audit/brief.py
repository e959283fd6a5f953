"""The audit at the start of every run: the cheap checks that decide, within a few seconds."""

from __future__ import annotations

import time

import attrs

from jepa_core.audit.bench import Bench
from jepa_core.audit.budget import run_findings
from jepa_core.audit.data_audit import (
    candidate_findings,
    comes_split,
    identical_context,
    null_findings,
    ranked_nulls,
    scale_findings,
    split_faults,
)
from jepa_core.audit.effect_audit import ROUNDING, no_time_reason
from jepa_core.audit.effect_findings import aggregator_finding, aggregator_matters
from jepa_core.audit.fields import without_what_is_set
from jepa_core.audit.loss_audit import NO_SHARE, audit_losses, loss_findings
from jepa_core.audit.rebuilding import Change
from jepa_core.audit.replacements import AverageConfig
from jepa_core.audit.report import EffectRow
from jepa_core.audit.step_audit import extrapolated_gib, memory_findings
from jepa_core.audit.trial import relative_change
from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding, by_severity
from jepa_core.watch.nulls import RankedNulls

NUM_SEQUENCES = 8
MOST_SEQUENCES = 20_000
"""Training sequences that are looked at for copies."""


def brief_audit(
    recipe: Recipe,
    dataset: SequenceDataset,
    compute: Compute,
    budget_seconds: float = 3.0,
    *,
    nulls: RankedNulls | None = None,
) -> tuple[Finding, ...]:
    """Findings, the most severe first: faults, and as `info` what was found to be in order.

    No part of it begins once two thirds of the budget are spent. Nothing is trained: what only shows after a few
    steps is left to the whole audit. `nulls` are ranked here, where there is time, if they were not before.

    Raises:
        RecipeError: the recipe and its data do not fit, as a run would say.
    """
    deadline = time.perf_counter() + budget_seconds * 2 / 3
    findings: list[Finding] = []
    identical = identical_context(dataset, MOST_SEQUENCES)
    findings += split_faults(dataset, MOST_SEQUENCES, official=comes_split(recipe.data))
    findings += candidate_findings(dataset, recipe.data)
    findings += run_findings(recipe, dataset)
    findings += scale_findings(recipe, dataset)
    length = dataset.train.num_places - 1
    can_matter = recipe.aggregator.kind != AverageConfig.kind
    in_doubt = can_matter and length > 1 and identical == 1
    # Where the context never changes, that the aggregator has no effect is too grave to hang on the time that is left.
    if in_doubt or time.perf_counter() < deadline:
        reason = no_time_reason(length, identical) if in_doubt else ""
        findings += _of_first_batch(
            recipe, dataset, compute, deadline, look_at_aggregator=can_matter, no_effect_reason=reason
        )
    if nulls is None and time.perf_counter() < deadline:
        nulls = ranked_nulls(recipe, dataset)
    findings += null_findings(nulls or RankedNulls(), dataset)
    return by_severity(without_what_is_set(finding, recipe) for finding in findings)


def _of_first_batch(
    recipe: Recipe,
    dataset: SequenceDataset,
    compute: Compute,
    deadline: float,
    *,
    look_at_aggregator: bool,
    no_effect_reason: str,
) -> list[Finding]:
    """`no_effect_reason` says why the aggregator may have no effect, which is tried however late it is: it may still
    pool the tokens of an observation otherwise than by a mean."""
    findings: list[Finding] = []
    # A codebook at its random start is good enough to see what reaches what, and k-means takes seconds.
    bench = Bench(recipe, dataset, compute, sequences=NUM_SEQUENCES, initial_sequences=0)
    bench.encode(1)
    if compute.device.type == "cpu":  # which ends a process that takes too much, and says nothing
        bench.weigh()
        findings += memory_findings(extrapolated_gib(bench, recipe, dataset), recipe)
    if time.perf_counter() > deadline and not no_effect_reason:
        return findings
    outcome = bench.first_outcome()
    if look_at_aggregator:
        average = Change(recipe=attrs.evolve(bench.recipe, aggregator=AverageConfig()))
        without = bench.first_outcome(average).forward.z_context
        moved = relative_change(without, outcome.forward.z_context)
        name = f"aggregator {recipe.aggregator.kind}"
        if moved > ROUNDING:
            row = EffectRow(kind="part", name=name, without="mean", verdict="effect", embeddings=moved)
            findings.append(aggregator_matters(row, num_steps=0))
        elif no_effect_reason:
            row = EffectRow(kind="part", name=name, without="mean", verdict="none", reason=no_effect_reason)
            findings.append(aggregator_finding(row, recipe))
    if time.perf_counter() > deadline:
        return findings
    shares = bench.shares()
    if time.perf_counter() > deadline:
        return findings
    losses = audit_losses(bench, outcome, shares)
    of_losses = list(loss_findings(bench, outcome, losses))
    if all(shares.get(name, 0.0) >= NO_SHARE for name, entry in recipe.losses.items() if entry.weight):
        of_losses.append(_all_reach(shares))
    return findings + of_losses


def _all_reach(shares: dict[str, float]) -> Finding:
    return Finding(
        name="losses reach the encoder",
        severity="info",
        message="Every loss reaches the encoder.",
        evidence={"shares": shares},
    )
