"""The nulls of a run: built, fitted on training sequences, and ranked once on its validation candidates.

Which of them are on is the recipe's business, what they compute their own. V sequences, C candidates.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import ComponentConfig, Null, Observations, SequenceDataset, Sequences, spaces_of
from jepa_core.discovery.offer import in_words
from jepa_core.engine.hard_candidates import HardCandidates
from jepa_core.engine.interruption import StoppedBeforeTraining
from jepa_core.engine.retrieval import CandidateList, figures_of, paired_difference
from jepa_core.errors import PluginError
from jepa_core.facts import NullFacts
from jepa_core.recipes.layout import UNTRAINED
from jepa_core.recipes.tables import Recipe
from jepa_core.registry import Registry
from jepa_core.watch.nulls import NullFigures, RankedNulls, are_weights

SAME_MRR = 1e-3
"""Within which a null that is ranked again has the figure that was recorded: devices round otherwise."""

ROUNDING = 8
"""Units in the last place within which two scores tie: a product of matrices parts equal features by a few."""

FITTED_SEQUENCES = 512
"""Training sequences that a null is fitted on."""

_SWITCHES: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "deterministic mode": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
}
"""What a null could leave changed for the whole run: how each is read and put back."""


@attrs.frozen(kw_only=True)
class ChosenNulls:
    """Which nulls a recipe leaves on, of those installed."""

    configs: Mapping[str, ComponentConfig]
    """By name; without the untrained network, which is the engine's own."""
    with_untrained: bool
    disabled: tuple[str, ...]

    @staticmethod
    def of(recipe: Recipe, registry: Registry) -> ChosenNulls:
        """All that are installed, with the settings of their tables, but for those switched off."""
        configs = {name: component.config_class() for name, component in registry.family("null").items()}
        configs |= {name: entry.config for name, entry in recipe.nulls.items() if entry.config is not None}
        disabled = tuple(name for name, entry in recipe.nulls.items() if not entry.enabled)
        return ChosenNulls(
            configs={name: config for name, config in configs.items() if name not in disabled},
            with_untrained=UNTRAINED not in disabled,
            disabled=disabled,
        )


@attrs.frozen(kw_only=True)
class MeasuredNulls:
    """The nulls' figures, and what pairs the model's ranks with the strongest one's."""

    ranked: RankedNulls
    strongest_ranks: Tensor | None = None
    """(V,), of the strongest null; None where no null fits the data, and of the untrained network of another recipe."""

    @property
    def not_paired(self) -> str:
        """Why the model is compared with no null though there is one; empty where it is, and where there is none."""
        if self.strongest_ranks is not None or self.ranked.strongest is None:
            return ""
        return "that network is another now than when the run began"

    def with_room(self, tasks: Tensor) -> MeasuredNulls:
        """With how far above the strongest a model can come, by the interval that verdicts are made of; of runs that
        go on it is known. `tasks` (V,) of the split."""
        strongest, theirs = self.ranked.strongest, self.strongest_ranks
        if strongest is None or theirs is None or strongest.room is not None:
            return self
        measured = attrs.evolve(strongest, room=paired_difference(torch.ones_like(theirs), theirs, tasks).low)
        ranked = attrs.evolve(self.ranked, figures=(measured, *self.ranked.figures[1:]))
        return attrs.evolve(self, ranked=ranked)


def rank_nulls(
    chosen: ChosenNulls,
    dataset: SequenceDataset,
    candidates: CandidateList,
    hard: HardCandidates | None,
    *,
    untrained: Tensor | None = None,
    recorded: RankedNulls | None = None,
) -> MeasuredNulls:
    """Fit every null that fits the data, and rank the split's candidates with it.

    Args:
        chosen: which nulls.
        dataset: whose training sequences they are fitted on.
        candidates: of the validation split.
        hard: its near copies; None where there are none.
        untrained: ranks (V,) by the network before training; None where it is switched off.
        recorded: what a run that goes on measured when it began, and is judged by.

    Raises:
        PluginError: a run goes on, and the null that it is judged by is no longer there, or no longer the same.

    A null that raises, gives scores that are none or leaves one of torch's switches changed is left out, and named with
    why.
    """
    device = candidates.context.device
    facts = NullFacts(space=dataset.space, roles=dataset.places())
    sample = training_sample(dataset, device) if chosen.configs else None
    figures: list[NullFigures] = []
    ranks: dict[str, Tensor] = {}
    failed: dict[str, str] = {}
    for name, config in chosen.configs.items():
        try:
            with _switches_as_found(device):
                null: Null | None = config.build(facts) if type(dataset.space) in spaces_of(config) else None
                if null is None:
                    continue
                assert sample is not None
                weights = _weights(null.fit(_copied(sample)))
                scores = _scored(null, candidates.context, candidates.candidates, candidates.size)
                own_ranks = candidates.ranks(_beside_target(scores, candidates.positive))
                hard_mrr = None if hard is None else _mrr_among_copies(null, hard)
        except (KeyboardInterrupt, StoppedBeforeTraining):
            raise
        except BaseException as error:  # the plugin's code, which is on in every run: none shall stop for it
            failed[name] = _why(error)
            continue
        ranks[name], found = own_ranks, figures_of(own_ranks)
        figures.append(NullFigures(name=name, mrr=found.mrr, top1=found.top1, hard_mrr=hard_mrr, weights=weights))
    if untrained is not None:
        ranks[UNTRAINED] = untrained
        found = figures_of(untrained)
        figures.append(NullFigures(name=UNTRAINED, mrr=found.mrr, top1=found.top1))
    has_record = recorded is not None and (recorded.figures or recorded.disabled or recorded.failed)
    ranked = _as_when_begun(recorded) if recorded and has_record else _ranked(figures, chosen.disabled, failed)
    return MeasuredNulls(ranked=ranked, strongest_ranks=_ranks_of_strongest(ranked, ranks, chosen, failed))


def _as_when_begun(recorded: RankedNulls) -> RankedNulls:
    """What a run that goes on recorded; a null that failed then stays left out, though it may work now."""
    return attrs.evolve(recorded, failed={name: f"when the run began: {why}" for name, why in recorded.failed.items()})


def _ranks_of_strongest(
    ranked: RankedNulls, ranks: Mapping[str, Tensor], chosen: ChosenNulls, failed: Mapping[str, str]
) -> Tensor | None:
    """Those that the model's are paired with; None where no null fits, and where the strongest is the untrained network
    and that is another now, as of a changed recipe.

    Raises:
        PluginError: the null that a run is judged by is no longer there, or no longer the same.
    """
    strongest = ranked.strongest
    if strongest is None:
        return None
    own = ranks.get(strongest.name)
    now = None if own is None else figures_of(own).mrr
    if now is not None and abs(now - strongest.mrr) < SAME_MRR:
        return own
    if strongest.name == UNTRAINED:
        return None
    if now is None:
        raise PluginError(
            f"This run is judged beside the null {strongest.name!r}, which cannot be ranked now: "
            f"{_why_not_ranked(strongest.name, chosen, failed)}.\nInstall or mend its package, or start a new run."
        )
    raise PluginError(
        f"This run is judged beside the null {strongest.name!r}, which is not what it was: "
        f"its MRR was {strongest.mrr:.4f} when the run began, and is {now:.4f} now.\n"
        "Install the version of its package that the run began with, with the same settings, or start a new run."
    )


def _why_not_ranked(name: str, chosen: ChosenNulls, failed: Mapping[str, str]) -> str:
    if name in failed:
        return failed[name]
    if name in chosen.disabled:
        return "the recipe switches it off"
    return "it does not fit the data" if name in chosen.configs else "it is not installed"


def _ranked(figures: list[NullFigures], disabled: tuple[str, ...], failed: Mapping[str, str]) -> RankedNulls:
    among_copies = [null for null in figures if null.hard_mrr is not None]
    hardest = max(among_copies, key=lambda null: null.hard_mrr or 0.0, default=None)
    return RankedNulls(
        figures=tuple(sorted(figures, key=lambda null: -null.mrr)),
        strongest_hard=hardest.name if hardest else "",
        disabled=disabled,
        failed=failed,
    )


def training_sample(dataset: SequenceDataset, device: torch.device) -> Sequences:
    """Up to `FITTED_SEQUENCES` training sequences, on the device, the same in every run.

    Of each task as many as validation has of one, so that the sample asks what validation asks: with tasks of several
    sequences, which of them.
    """
    train = dataset.train
    per_task = int(dataset.validation.tasks.unique(return_counts=True)[1].max())
    order = train.tasks.argsort(stable=True)
    sorted_tasks = train.tasks[order]
    number = torch.arange(len(order)) - torch.searchsorted(sorted_tasks, sorted_tasks)
    first = order[number < per_task]
    tasks = train.tasks.unique()
    generator = torch.Generator().manual_seed(0)
    drawn = tasks[torch.randperm(len(tasks), generator=generator)[: max(1, FITTED_SEQUENCES // per_task)]]
    rows = first[torch.isin(train.tasks[first], drawn)][:FITTED_SEQUENCES]
    return train.rows(rows).to(device)


def _mrr_among_copies(null: Null, hard: HardCandidates) -> float:
    scores = _scored(null, hard.context, hard.candidates, hard.num_candidates)
    # The target is the first of each list.
    return float(hard.mrr(_beside_target(scores, torch.zeros_like(hard.rows))))


def _scored(null: Null, context: Observations, candidates: Observations, num_candidates: int) -> Tensor:
    """(V, C) scores, checked: real numbers, float32, float64 or int64."""
    scores: Any = null.scores(context.map(torch.clone), candidates.map(torch.clone))
    expected = (len(context), num_candidates)
    if not isinstance(scores, Tensor) or tuple(scores.shape) != expected:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"scores are {got}, and {expected} are asked for: contexts × candidates")
    if scores.is_complex():
        raise ValueError(f"scores are {scores.dtype}, which have no order: give real numbers")
    if not scores.isfinite().all():
        raise ValueError(f"{int((~scores.isfinite()).sum())} of {scores.numel()} scores are not finite")
    if not scores.is_floating_point():
        return scores.long()
    return scores if scores.dtype == torch.float64 else scores.float()


def _beside_target(scores: Tensor, target: Tensor) -> Tensor:
    """(V, C) float32: 1 where a candidate scores above its context's `target` (V,) int64, −1 below, 0 where they tie.

    A null may have any scale, so what is rounding is measured by the target's own score: beside the largest of the row
    a single outlier would make all the others tie. Whole numbers have no rounding.
    """
    own = scores.gather(1, target[:, None])
    rounding = ROUNDING * torch.finfo(scores.dtype).eps * own.abs() if scores.is_floating_point() else 0
    return (scores > own + rounding).float() - (scores < own - rounding).float()


def _copied(sequences: Sequences) -> Sequences:
    """What a plugin may write to without changing it for others."""
    observations = sequences.observations.map(torch.clone)
    return dataclasses.replace(sequences, observations=observations, tasks=sequences.tasks.clone())


@contextmanager
def _switches_as_found(device: torch.device) -> Iterator[None]:
    """Afterwards torch's switches and generators are what they were.

    Raises:
        ValueError: a switch was changed, so that figures may not be what they would be elsewhere.
    """
    found = {name: read() for name, (read, _) in _SWITCHES.items()}
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
        changed = [name for name, (read, _) in _SWITCHES.items() if read() != found[name]]
        if changed:
            raise ValueError(f"it leaves torch's {' and '.join(changed)} changed")
    finally:
        for name, (_, put_back) in _SWITCHES.items():
            put_back(found[name])


def _weights(found: Any) -> dict[str, float]:
    """What `fit` returned, checked."""
    if not are_weights(found):
        raise ValueError(f"fit returns {str(found)[:80]!r}, not names with finite numbers")
    return {name: float(weight) for name, weight in found.items()}


def _why(error: BaseException) -> str:
    """In a line, with the place in the plugin's code."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{in_words(error)} ({place.filename}, line {place.lineno})"
