"""Looking at a model without training it: `eval()` mode, no gradient, no `after_step`, in chunks that fit memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import (
    Forward,
    JudgesWholeSet,
    Observations,
    SequenceDataset,
    Sequences,
    ShowsWeights,
    Space,
    ViewTransform,
)
from jepa_core.engine.device import Compute
from jepa_core.engine.hard_candidates import SHARE_OF_VALIDATION, HardCandidates, cosine_scores
from jepa_core.engine.network import masked_mean
from jepa_core.engine.nulls import ChosenNulls, MeasuredNulls, rank_nulls
from jepa_core.engine.objective import Objective
from jepa_core.engine.probe import ProbedLabels, metric_names
from jepa_core.engine.representation import (
    alignment,
    code_usage,
    eigenvalues,
    lidar,
    mean_std,
    rank_of_spectrum,
    uniformity,
    unit_length,
)
from jepa_core.engine.retrieval import CandidateList, figures_of, paired_difference
from jepa_core.engine.seeds import seed_phase
from jepa_core.recipes.layout import UNTRAINED
from jepa_core.spaces import HasFeatures
from jepa_core.watch.nulls import RankedNulls, says_little


@attrs.frozen(kw_only=True)
class Gathered:
    """What a pass over V sequences left, on the device."""

    z_context: Tensor
    """(V, P)"""
    z_target: Tensor
    """(V, P)"""
    codes: Tensor | None
    """Codes of the context's tokens, −1 where masked; None without a codebook."""
    order_sensitivity: Tensor
    """Scalar: how far the state moves when the context is rotated by one observation, relative to its norm."""
    time_weights: Tensor | None
    """(T,): mean weights over time, of aggregators that show them."""
    attention_entropy: Tensor | None
    """Scalar: mean entropy of the weights over time, relative to uniform."""
    losses: Mapping[str, Tensor]
    """Scalar figures, averaged over sequences; empty unless losses were asked for."""


@contextmanager
def evaluation_mode(objective: Objective) -> Iterator[None]:
    """Switch to `eval()` and no gradient, and back to what it was."""
    was_training = objective.training
    objective.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        objective.train(was_training)


def sequences_at_once(compute: Compute, batch_size: int) -> int:
    """Sequences that are looked at together: a training batch, on a GPU four.

    Four without gradients need less memory than one with them, and keep a GPU busy for longer per launch.
    """
    return 4 * batch_size if compute.device.type == "cuda" else batch_size


def gather(
    objective: Objective,
    observations: Observations,
    compute: Compute,
    *,
    chunk: int,
    views: Mapping[str, ViewTransform] | None = None,
) -> Gathered:
    """Encode V sequences, `chunk` at a time. With `views` (which may be empty) the loss terms are computed, too."""
    seed_phase(0, "evaluation")
    parts: list[_Chunk] = []
    with evaluation_mode(objective), compute.autocast():
        for batch in observations.split(chunk):
            if views is None:
                forward, losses = objective.encode(batch, None)[0], {}
            else:
                outcome = objective(batch, {name: view(batch) for name, view in views.items()})
                forward, losses = outcome.forward, outcome.figures
            parts.append(_Chunk.of(objective, forward, losses))
    return _joined(parts)


def encoder_means(objective: Objective, observations: Observations, compute: Compute, *, chunk: int) -> Tensor:
    """(V, D): the mean of the online encoder's tokens over the context of V sequences (V, T+1, …)."""
    parts = []
    with evaluation_mode(objective), compute.autocast():
        for batch in observations[:, :-1].split(chunk):
            means = masked_mean(objective.online.encode(batch.flatten()))
            parts.append(means.float().unflatten(0, (len(batch), -1)).mean(1))
    return torch.cat(parts)


@attrs.frozen(kw_only=True)
class _Chunk:
    forward_z: tuple[Tensor, Tensor]
    codes: Tensor | None
    moved: Tensor
    time_weights: Tensor | None
    losses: Mapping[str, Tensor]

    @staticmethod
    def of(objective: Objective, forward: Forward, losses: Mapping[str, Tensor]) -> _Chunk:
        values, mask = forward.context_quantized.values, forward.context_embeddings.mask
        rotated = objective.online.state(values.roll(1, dims=1), mask.roll(1, dims=1))
        aggregator = objective.online.aggregator
        state = forward.state.float()
        return _Chunk(
            forward_z=(forward.z_context.float(), forward.z_target.float()),
            codes=forward.context_quantized.codes,
            moved=(rotated.float() - state).norm(dim=-1) / state.norm(dim=-1).clamp(min=1e-12),
            time_weights=aggregator.time_weights(values, mask).float()
            if isinstance(aggregator, ShowsWeights)
            else None,
            losses=losses,
        )


def _joined(parts: list[_Chunk]) -> Gathered:
    sizes = torch.tensor([part.moved.numel() for part in parts], dtype=torch.float32, device=parts[0].moved.device)
    shares = sizes / sizes.sum()
    codes = [part.codes for part in parts if part.codes is not None]
    weights = [part.time_weights for part in parts if part.time_weights is not None]
    time_weights = torch.cat(weights) if weights else None
    return Gathered(
        z_context=torch.cat([part.forward_z[0] for part in parts]),
        z_target=torch.cat([part.forward_z[1] for part in parts]),
        codes=torch.cat(codes) if codes else None,
        order_sensitivity=torch.cat([part.moved for part in parts]).mean(),
        time_weights=None if time_weights is None else time_weights.mean(0),
        attention_entropy=None if time_weights is None else _relative_entropy(time_weights).mean(),
        losses={name: (torch.stack([part.losses[name] for part in parts]) * shares).sum() for name in parts[0].losses},
    )


def _relative_entropy(weights: Tensor) -> Tensor:
    """(V, T) to (V,): entropy over time divided by that of uniform weights; 1 for a single observation."""
    if weights.shape[-1] == 1:
        return torch.ones_like(weights[:, 0])
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(-1)
    return entropy / torch.log(torch.tensor(float(weights.shape[-1]), device=weights.device))


def spectra(gathered: Gathered) -> dict[str, Tensor]:
    """Eigenvalues (P,) of the covariance of context and target projections at unit length, descending."""
    sides = {"context": gathered.z_context, "target": gathered.z_target}
    return {side: eigenvalues(unit_length(z)) for side, z in sides.items()}


def as_shares(of_sides: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Spectra as shares of 1."""
    return {side: (values / values.sum().clamp(min=1e-30)).tolist() for side, values in of_sides.items()}


def representation_figures(gathered: Gathered, of_sides: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Figures of the embeddings at unit length, as they are compared: ranks, spread, alignment, order.

    `of_sides` are their `spectra`.
    """
    figures = {
        **{f"rank.{side}": rank_of_spectrum(spectrum) for side, spectrum in of_sides.items()},
        "std.context": mean_std(gathered.z_context),
        "std.target": mean_std(gathered.z_target),
        "align": alignment(gathered.z_context, gathered.z_target),
        "uniform": uniformity(gathered.z_target),
        "order.sensitivity": gathered.order_sensitivity,
    }
    if gathered.attention_entropy is not None:
        figures["attention.entropy"] = gathered.attention_entropy
    return figures


def code_figures(gathered: Gathered, num_codes: int) -> tuple[dict[str, Tensor], Tensor | None]:
    """Figures of code use, and the counts (K,); empty without a codebook."""
    if gathered.codes is None:
        return {}, None
    use = code_usage(gathered.codes, num_codes)
    return {"vq.usage": use.usage, "vq.perplexity": use.perplexity, "vq.dead": use.dead}, use.counts


class Validation:
    """The fixed validation split: what the run is judged by, beside its nulls."""

    def __init__(self, space: Space, split: Sequences, compute: Compute, *, chunk: int) -> None:
        self._space = space
        self._observations = split.observations.to(compute.device)
        self._num_places = split.num_places
        self._tasks = split.tasks
        members = split.tasks.unique(return_counts=True)[1]
        self._num_tasks = len(members)
        self._has_views = int((members > 1).sum()) > 1
        self._probed = ProbedLabels.of(split)
        self._untrained: Tensor | None = None
        self._compute = compute
        self._chunk = chunk
        self.candidates = CandidateList(space, self._observations)
        self.nulls = MeasuredNulls(ranked=RankedNulls())
        self.hard: HardCandidates | None = None
        self.null_only: Tensor | None = None
        """Tasks of the targets that the strongest null ranked first at the newest look and the model did not; None
        before the first look, and where no null fits."""

    def rank_nulls(
        self,
        chosen: ChosenNulls,
        dataset: SequenceDataset,
        untrained: Objective | None,
        recorded: RankedNulls | None = None,
    ) -> None:
        """Rank the nulls, once, before training: `untrained` is the network as it starts, None where it is not known.

        Raises:
            PluginError: a run goes on, and the null that it is judged by is no longer there, or no longer the same.
        """
        self.hard = HardCandidates.of(self._space, self._observations, self._tasks)
        ranks = None
        if untrained is not None and chosen.with_untrained:
            gathered = gather(untrained, self._observations, self._compute, chunk=self._chunk)
            ranks, self._untrained = self._ranks(gathered), gathered.z_context[self._probed.rows]
        self.nulls = rank_nulls(
            chosen,
            dataset,
            self.candidates,
            self.hard,
            untrained=ranks,
            recorded=recorded,
        ).with_room(self._tasks)

    def __call__(
        self,
        objective: Objective,
        views: Mapping[str, ViewTransform],
        *,
        with_hard: bool = False,
        with_probes: bool = True,
    ) -> dict[str, float]:
        """Every `val.` figure; with those among near copies, and without those of labels, where asked."""
        return self.figures(objective, self.look(objective, views), with_hard=with_hard, with_probes=with_probes)

    def look(self, objective: Objective, views: Mapping[str, ViewTransform]) -> Gathered:
        """Encode the split, with its loss terms."""
        return gather(objective, self._observations, self._compute, chunk=self._chunk, views=views)

    def figures(
        self, objective: Objective, gathered: Gathered, *, with_hard: bool = False, with_probes: bool = True
    ) -> dict[str, float]:
        """Every `val.` figure of a look.

        LiDAR is measured here and not on the sample of training sequences, which rarely holds two of one task: on the
        predictions of the whole split, which retrieval judges, with tasks in the place of the paper's images.
        """
        figures = {name: value for name, value in gathered.losses.items() if name.endswith((".raw", ".total"))}
        figures |= self._over_candidates(objective, gathered, figures)
        figures |= representation_figures(gathered, spectra(gathered))
        figures |= code_figures(gathered, num_codes(objective))[0]
        if self._has_views:
            figures["rank.lidar"] = lidar(gathered.z_context, self._tasks)
        values = torch.stack([value.float() for value in figures.values()]).tolist()
        rest = self._retrieval(gathered)
        if with_probes:
            rest |= self._probes(gathered.z_context[self._probed.rows], "probe")
        if with_hard and self.hard is not None:
            rest |= self._among_copies(objective, gathered, self.hard)
        return {f"val.{name}": value for name, value in [*zip(figures, values, strict=True), *rest.items()]}

    def first_row(self) -> dict[str, float]:
        """What the first validation row says beside a look: every null, and what raw features and the untrained
        network's predictions tell of labels."""
        readouts: dict[str, Tensor] = {}
        if self._probed.questions and isinstance(self._space, HasFeatures):
            readouts |= self._space.features(self._observations[:, -2][self._probed.rows])
        if self._untrained is not None:
            readouts[UNTRAINED] = self._untrained
        names = metric_names(readouts)
        probes = [self._probes(z, f"val.probe.null.{names[readout]}") for readout, z in readouts.items()]
        return self.nulls.ranked.first_row() | {name: value for probe in probes for name, value in probe.items()}

    def _probes(self, embeddings: Tensor, prefix: str) -> dict[str, float]:
        return {f"{prefix}.{name}": value for name, value in self._probed.figures(embeddings).items()}

    def hard_every(self) -> int:
        """Every how many validations near copies may be ranked, so that they stay a small share of what is encoded."""
        encoded = len(self._observations) * self._num_places
        return 1 if self.hard is None else math.ceil(self.hard.num_observations / (SHARE_OF_VALIDATION * encoded))

    def _ranks(self, gathered: Gathered) -> Tensor:
        return self.candidates.model_ranks(gathered.z_context, gathered.z_target)

    def _retrieval(self, gathered: Gathered) -> dict[str, float]:
        """Retrieval of the model beside the strongest null's."""
        ranks = self._ranks(gathered)
        figures = figures_of(ranks).named("retrieval") | {
            "retrieval.candidates": float(self.candidates.size),
            "retrieval.tasks": float(self._num_tasks),
        }
        strongest, theirs = self.nulls.ranked.strongest, self.nulls.strongest_ranks
        if strongest is None:
            return figures
        figures |= {"retrieval.null_mrr": strongest.mrr, "retrieval.null_top1": strongest.top1}
        if theirs is None:
            return figures
        self.null_only = self._tasks[((theirs <= 1) & (ranks > 1)).cpu()]
        if says_little(self.candidates.size, self._num_tasks):
            return figures
        above = paired_difference(ranks, theirs, self._tasks)
        named = {"above_null": above.mean, "above_null_low": above.low, "above_null_high": above.high}
        return figures | {f"retrieval.{name}": value for name, value in named.items()}

    def _among_copies(self, objective: Objective, gathered: Gathered, hard: HardCandidates) -> dict[str, float]:
        """Retrieval among near copies of each target, with its null and its controls."""
        z_context, z_candidates = gathered.z_context[hard.rows], self._encoded(objective, hard.candidates)
        ranks = hard.ranks(cosine_scores(z_context, z_candidates))
        measured = [ranks.float().reciprocal().mean(), (ranks <= 1).float().mean()]
        measured.append(hard.mrr(cosine_scores(z_context[hard.other], z_candidates)))
        mrr, top1, blind = torch.stack(measured).tolist()
        hardest = self.nulls.ranked.hardest
        null = {} if hardest is None or hardest.hard_mrr is None else {"hard.null_mrr": hardest.hard_mrr}
        controls = {"hard.blind_mrr": blind, "hard.medoid_mrr": hard.medoid_mrr, "hard.chance_mrr": hard.chance_mrr}
        return {"hard.mrr": mrr, "hard.top1": top1} | null | controls

    def _encoded(self, objective: Objective, candidates: Observations) -> Tensor:
        """Candidates (V, C, ...) by the target network: (V, C, P) float32."""
        num_candidates = next(iter(candidates.tensors.values())).shape[1]
        # As many observations at a time as there are in a chunk of sequences.
        at_once = max(1, self._chunk * self._num_places // num_candidates)
        parts = []
        with evaluation_mode(objective), self._compute.autocast():
            for part in candidates.split(at_once):
                _, target = objective.encode_target(part.flatten())
                parts.append(objective.target.projector(target).float().unflatten(0, (len(part), num_candidates)))
        return torch.cat(parts)

    def _over_candidates(
        self, objective: Objective, gathered: Gathered, figures: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Terms defined over the whole candidate list, and the total with them where it does not stay the batches'."""
        whole = {}
        with evaluation_mode(objective):
            for name, loss in objective.losses.items():
                if isinstance(loss, JudgesWholeSet):
                    whole[f"loss.{name}.raw"] = loss.over_candidates(
                        gathered.z_context, gathered.z_target[self.candidates.representatives], self.candidates.positive
                    )
        change = [
            objective.weights[name] * (whole[f"loss.{name}.raw"] - figures[f"loss.{name}.raw"])
            for name in objective.losses
            if f"loss.{name}.raw" in whole and not getattr(objective.losses[name], "total_from_batches", False)
        ]
        return whole | {"loss.total": figures["loss.total"] + sum(change, torch.zeros_like(figures["loss.total"]))}


def num_codes(objective: Objective) -> int:
    """Size of the codebook, 0 without one."""
    return objective.online.quantizer.num_codes
