"""A whole audit, and the brief one for the start of a run. Trains nothing that is kept, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch

from jepa_core.audit.bench import Bench
from jepa_core.audit.budget import run_findings
from jepa_core.audit.data_audit import audit_data, candidate_findings, comes_split, data_findings, null_findings
from jepa_core.audit.effect_audit import part_rows, setting_rows
from jepa_core.audit.effect_findings import effect_findings
from jepa_core.audit.fields import without_what_is_set
from jepa_core.audit.loss_audit import audit_losses, loss_findings
from jepa_core.audit.report import Audit
from jepa_core.audit.step_audit import audit_step, step_findings
from jepa_core.audit.trial import NUM_STEPS
from jepa_core.contracts import SequenceDataset
from jepa_core.engine.device import Compute
from jepa_core.recipes.tables import Recipe
from jepa_core.watch.findings import Finding, by_severity

SETTING_SEQUENCES = 8
"""Sequences of the batches on which settings are moved: whether every bit is the same shows as well on few."""


def audit_recipe(
    recipe: Recipe, dataset: SequenceDataset, compute: Compute, say: Callable[[str], None] = lambda _: None
) -> Audit:
    """Look at data, steps, losses, parts and settings; `say` is called with what is looked at.

    Raises:
        RecipeError: the recipe and its data do not fit, as a run would say.
    """
    started = time.perf_counter()
    torch.set_float32_matmul_precision("highest")
    say("looking at the data")
    data = audit_data(recipe, dataset)
    say("taking steps")
    bench = Bench(recipe, dataset, compute)
    bench.record()
    outcome, shares = bench.first_outcome(), bench.shares()
    step = audit_step(bench, recipe, dataset, compute, outcome)
    say("leaving out each loss")
    losses = audit_losses(bench, outcome, shares)
    say("replacing each part")
    parts = tuple(part_rows(bench, data.identical_context))
    say("moving each number by 20 %")
    small = Bench(recipe, dataset, compute, sequences=SETTING_SEQUENCES, is_known_sound=True)
    small.encode()
    effects = (*parts, *setting_rows(small, bench, data.identical_context, shares))

    of_losses = list(loss_findings(bench, outcome, losses))
    explained = {" ".join(finding.name.split()[:1]) for finding in of_losses}
    findings: Iterator[Finding] = effect_findings(effects, recipe, explained)
    found = [
        *findings,
        *of_losses,
        *step_findings(step, recipe),
        *data_findings(data, official=comes_split(recipe.data)),
        *candidate_findings(dataset, recipe.data),
        *null_findings(data.nulls, dataset),
        *run_findings(recipe, dataset),
    ]
    return Audit(
        recipe=recipe.name,
        device=compute.describe(),
        num_sequences=bench.recipe.train.batch_size,
        num_steps=NUM_STEPS,
        seconds=time.perf_counter() - started,
        effects=effects,
        losses=losses,
        data=data,
        step=step,
        findings=by_severity(without_what_is_set(finding, recipe) for finding in found),
    )
