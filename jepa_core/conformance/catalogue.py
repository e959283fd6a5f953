"""All checks, in the order in which they are reported: a failure early in the list often explains those below it."""

from __future__ import annotations

from collections.abc import Callable

from jepa_core.conformance.check import Check
from jepa_core.conformance.checks import (
    aggregators,
    augmentations,
    checkpoints,
    compilation,
    configurations,
    datasets,
    encoders,
    gradients,
    influence,
    losses,
    nulls,
    observers,
    precision,
    purity,
    ranks,
    scenarios,
    shapes,
    spaces,
    state,
)
from jepa_core.conformance.families import MODULE_FAMILIES
from jepa_core.conformance.situations import SITUATIONS, USUAL, Situation
from jepa_core.conformance.trial import Trial
from jepa_core.hookspecs import FAMILIES

_MODULES = frozenset(MODULE_FAMILIES)
_WITH_OBJECTS = frozenset({"quantizer", "aggregator", "loss"})
_BY_ROW = _MODULES - {"loss"}

Run = Callable[[Trial], None]


def _of_class(name: str, promise: str, run: Run) -> Check:
    return Check(name=name, promise=promise, run=run, families=frozenset(FAMILIES), of_class=True)


def _without_batch(family: str, name: str, promise: str, run: Run) -> Check:
    return Check(name=name, promise=promise, run=run, families=frozenset({family}))


def _check(
    name: str,
    promise: str,
    run: Run,
    *families: str,
    situations: tuple[Situation, ...] = (USUAL,),
    least_batch: int = 1,
) -> Check:
    chosen = frozenset(families) or _MODULES
    return Check(name=name, promise=promise, run=run, families=chosen, situations=situations, least_batch=least_batch)


CHECKS: tuple[Check, ...] = (
    _of_class("name", "a name that can stand in a recipe, and a summary that fits a line", configurations.named),
    _of_class("settings", "every setting is described, and given by name", configurations.described),
    _of_class("defaults", "defaults lie within their ranges", configurations.in_range),
    _of_class("frozen", "the configuration cannot be changed", configurations.frozen),
    _of_class("metrics", "declared metrics are well named, described and its own", configurations.metrics_declared),
    _check("builds", "the defaults build a module", shapes.built, situations=SITUATIONS),
    _check("shapes", "outputs have the contract's shapes and dtypes", shapes.shaped, situations=SITUATIONS),
    _check("finite", "outputs and gradients are finite", gradients.finite, situations=SITUATIONS),
    _check("differentiable", "the result has a gradient, whatever the batch", gradients.kept, situations=SITUATIONS),
    _check("gradients", "the gradient reaches every parameter and some input", gradients.reached),
    _check(
        "masked-slots",
        "masked slots have no influence",
        influence.masked_slots,
        *_WITH_OBJECTS,
        situations=SITUATIONS,
    ),
    _check("rows", "a row is treated as on its own", influence.rows_apart, *_BY_ROW, least_batch=2),
    _check(
        "object-order", "the order of an observation's objects says nothing", influence.object_order, *_WITH_OBJECTS
    ),
    _check("pure-forward", "forward changes no state", purity.state_untouched),
    _check("repeatable", "a second call and a copy give the same", purity.remembers_nothing),
    _check("inputs", "forward leaves its inputs as they were", purity.inputs_untouched),
    _check("seed", "one seed gives one result, drawn from torch alone", purity.seeded),
    _check("host-sync", "forward never lets the host wait for the device", purity.never_waits),
    _check("bf16", "finite and near full precision under bfloat16 autocast", precision.bf16),
    _check("fp16", "finite and near full precision under float16 autocast", precision.fp16),
    _check("compile", "torch.compile makes one graph with the same result", compilation.compiled),
    _check("state-dict", "a module that loads another's state gives the same results", checkpoints.loads),
    _check("resume", "training that is saved and restored ends as in one go", checkpoints.resumes),
    _check("statistics", "statistics have no gradient and somewhere to go", state.statistics_usable),
    _check("after-step", "after_step changes the state that checkpoints hold", state.written_after_step),
    _check("halves", "merged statistics of half batches equal the whole's", state.halves_merge, least_batch=2),
    _check("many-steps", "the state stays finite over many steps", state.stays_finite, situations=SITUATIONS),
    _check(
        "ranks",
        "two ranks that share a batch give what one process makes of it",
        ranks.as_one_process,
        "quantizer",
        "loss",
        situations=(ranks.SHARED_BATCH,),
        least_batch=ranks.SHARED_BATCH.batch,
    ),
    _check("initialise", "a start from data is seeded and finite", state.initialised, "quantizer"),
    _check("without-time", "target tokens are quantized as the context's", shapes.without_time, "quantizer"),
    _check(
        "weights",
        "weights over time are shares",
        aggregators.weights_are_shares,
        "aggregator",
        situations=SITUATIONS,
    ),
    _check(
        "encoder-views",
        "what is read is embedded to what forward gives, and views keep its form",
        encoders.offers_views,
        "encoder",
        situations=SITUATIONS,
    ),
    _check("figures", "figures are detached scalars that are declared", losses.figures_declared, "quantizer", "loss"),
    _check("views", "views are sequences of the space, the same under one seed", losses.views_valid, "loss"),
    _check("whole-set", "a judgement of any whole set is finite", losses.judges_any_set, "loss"),
    _without_batch("dataset", "builds", "the defaults build a dataset", datasets.built),
    _without_batch("dataset", "shapes", "tensors by name, equally long and alike in both splits", datasets.typed),
    _without_batch("dataset", "content", "observations are of the space that it says", datasets.of_its_space),
    _without_batch("dataset", "split", "no task is on both sides, and every task has a name", datasets.split_by_task),
    _without_batch("dataset", "description", "it says what it is", datasets.says_what_it_is),
    _without_batch(
        "dataset", "fingerprint", "equal data have equal fingerprints, other data others", datasets.fingerprinted
    ),
    _without_batch("dataset", "space-draws", "its space draws what it accepts", spaces.draws_its_own),
    _without_batch("dataset", "space-keys", "its space tells equal observations", spaces.keys_tell_apart),
    _without_batch("dataset", "space-alike", "its space tells what two have in common", spaces.shares_what_is_common),
    _without_batch(
        "dataset", "space-edits", "its space edits within itself, and to something else", spaces.edits_a_little
    ),
    _without_batch("dataset", "space-fits", "its space takes its own observations as they are", spaces.fits_itself),
    _without_batch(
        "dataset",
        "space-readings",
        "features and pictures of its space are as a probe and a plot take them",
        spaces.is_read_and_pictured,
    ),
    _without_batch("dataset", "space-state", "a checkpoint keeps its space", spaces.is_remembered),
    _without_batch("augmentation", "builds", "the defaults build a function of a batch", augmentations.built),
    _check(
        "transforms",
        "what comes out is of the space, the same under one seed, and the batch stays as it was",
        augmentations.transforms_batches,
        "augmentation",
        situations=SITUATIONS,
    ),
    _without_batch("null", "builds", "the defaults build a method, or None for data of another kind", nulls.built),
    _without_batch("null", "shapes", "scores are finite float32, contexts × candidates", nulls.shaped),
    _without_batch(
        "null", "candidates", "a candidate scores alike in every list and order", nulls.candidate_by_candidate
    ),
    _without_batch("null", "fit", "one sample gives one fit, of named finite numbers", nulls.fitted_alike),
    _without_batch("null", "inputs", "it leaves its inputs and torch's random state as they were", nulls.leaves_alone),
    _without_batch("observer", "builds", "the defaults build an observer", observers.built),
    _without_batch("observer", "methods", "methods take what they are called with", observers.called),
    _without_batch("scenario", "builds", "the defaults build rules", scenarios.built),
    _without_batch("scenario", "rules", "rules can be read, and say what to do", scenarios.readable),
)


def checks_of(family: str) -> tuple[Check, ...]:
    """The checks that a family's components have to pass."""
    return tuple(check for check in CHECKS if family in check.families)
