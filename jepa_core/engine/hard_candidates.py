"""Near copies of each target, among which a rule that was learnt shows: retrieval where nothing coarse helps.

Copies made from the target would make it their centre, and the candidate most like all the others, which reads no
context, would win. So the candidates of a sequence grow as a random tree whose edges are edits, with the target at a
randomly chosen node and the edits carried outward from it, and the context's own observations join them. Equal ones are
one candidate. Targets are more regular than what edits make of them, which still draws them to the middle: of a tree
twice as large those relatives are kept beside which the target stands at a rank, among the medoids, that is drawn at
random.

Two controls stand beside the figures: the medoid (candidates alone) and the model with another sequence's context;
where one of them is not near chance the list says nothing.

Shapes: V sequences, C candidates of each, P projection dimension, K choices of relatives.
"""

from __future__ import annotations

import random

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Observations, Space
from jepa_core.engine.representation import retrieval_ranks
from jepa_core.engine.seeds import seed_phase
from jepa_core.spaces import Edit

NUM_NODES = 33
"""Of the tree, the target among them."""

NUM_RELATIVES = 16
"""Nodes that are kept beside the target."""

_CHOICES = 64
"""Of relatives, tried for each sequence."""

MOST_SEQUENCES = 256
"""Sequences that get a list, evenly chosen."""

SHARE_OF_VALIDATION = 0.1
"""Most observations that lists add to those a run's validations encode, on the long run."""


@attrs.frozen(kw_only=True)
class HardCandidates:
    """The fixed lists of a validation split."""

    rows: Tensor
    """(V,) int64: the sequences of the split that have a list."""
    context: Observations
    """(V, T, ...)"""
    candidates: Observations
    """(V, C, ...): the target first, then its relatives, then the context's observations."""
    is_distinct: Tensor
    """(V, C) bool: false for a copy of a candidate before it."""
    other: Tensor
    """(V,) int64: for each a sequence of another task, whose context is the blind control's."""
    chance_mrr: float
    """Expected mean reciprocal rank of a random order: Σ 1/k over k = 1 … n, divided by n."""
    medoid_mrr: float
    """By how many cells each candidate has in common with the others, which reads no context."""

    @staticmethod
    def of(space: Space, observations: Observations, tasks: Tensor) -> HardCandidates | None:
        """Lists for sequences (S, T+1, …) of tasks (S,), the same in every run; on the observations' device.

        None where all sequences that would get a list are of one task: no context would be another's.
        """
        num_sequences = len(observations)
        rows = torch.linspace(0, num_sequences - 1, min(num_sequences, MOST_SEQUENCES)).round().long()
        chosen_tasks = tasks.cpu()[rows]
        if len(chosen_tasks.unique()) < 2:
            return None
        seed_phase(0, "hard candidates")
        listed = observations.to("cpu")[rows]
        nodes = _trees(listed[:, -1], space.editor(listed))
        context = listed[:, :-1]
        candidates = _around_a_random_rank(space, nodes, context)
        is_distinct = _is_distinct(space.keys(candidates))
        device = observations.device
        return HardCandidates(
            rows=rows.to(device),
            context=context.to(device),
            candidates=candidates.to(device),
            is_distinct=is_distinct.to(device),
            other=_of_another_task(chosen_tasks).to(device),
            chance_mrr=_chance(is_distinct.sum(1)),
            medoid_mrr=float(_mrr((space.alike(candidates) * is_distinct[:, None]).sum(2), is_distinct)),
        )

    @property
    def num_candidates(self) -> int:
        """C."""
        return int(self.is_distinct.shape[1])

    @property
    def num_observations(self) -> int:
        """Observations that one look encodes."""
        return int(self.is_distinct.numel())

    def ranks(self, scores: Tensor) -> Tensor:
        """(V,): rank of the target by scores (V, C), copies left out."""
        return _ranks(scores, self.is_distinct)

    def mrr(self, scores: Tensor) -> Tensor:
        """Scalar: mean reciprocal rank by scores (V, C)."""
        return _mrr(scores, self.is_distinct)


def cosine_scores(z_context: Tensor, z_candidates: Tensor) -> Tensor:
    """Predictions (V, P) and candidates (V, C, P) to (V, C)."""
    with torch.autocast(device_type=z_context.device.type, enabled=False):
        unit = F.normalize(z_context.float(), dim=-1)
        return torch.einsum("vp,vcp->vc", unit, F.normalize(z_candidates.float(), dim=-1))


def _trees(targets: Observations, edit: Edit) -> Observations:
    """Targets (V, …) to (V, NUM_NODES, …): each the root of a tree of its edits."""
    draw = random.Random(int(torch.randint(2**31, ()).item()))
    parents = torch.tensor([_parents(NUM_NODES, draw) for _ in range(len(targets))])
    nodes = targets.map(lambda target: target[:, None].repeat(1, NUM_NODES, *[1] * (target.dim() - 1)))
    every = torch.arange(len(targets))
    for node in range(1, NUM_NODES):
        for name, changed in edit(nodes[every, parents[:, node]]).tensors.items():
            nodes[name][:, node] = changed
    return nodes


def _parents(num_nodes: int, draw: random.Random) -> list[int]:
    """A random tree seen from a randomly chosen node: that node is 0, and every other has an earlier one as parent."""
    neighbours: list[list[int]] = [[] for _ in range(num_nodes)]
    for node in range(1, num_nodes):
        other = draw.randrange(node)
        neighbours[node].append(other)
        neighbours[other].append(node)
    order, parents = [draw.randrange(num_nodes)], [-1]
    place = {order[0]: 0}
    for node in order:
        for neighbour in neighbours[node]:
            if neighbour not in place:
                place[neighbour] = len(order)
                order.append(neighbour)
                parents.append(place[node])
    return parents


def _around_a_random_rank(space: Space, nodes: Observations, context: Observations) -> Observations:
    """Trees (V, NUM_NODES, …) and contexts (V, T, …) to candidates (V, 1 + NUM_RELATIVES + T, …)."""
    num_sequences, num_nodes = len(nodes), NUM_NODES
    every = Observations.cat([nodes, context], dim=1)
    alike, distinct = space.alike(every), _is_distinct(space.keys(every))
    num_listed = distinct.shape[1]
    order = torch.rand(num_sequences, _CHOICES, num_nodes - 1) - distinct[:, None, 1:num_nodes].float()
    kept_VKR = order.argsort(2)[..., :NUM_RELATIVES] + 1
    listed_VKC = torch.zeros(num_sequences, _CHOICES, num_listed, dtype=torch.bool)
    listed_VKC[..., 0] = True
    listed_VKC[..., num_nodes:] = True
    listed_VKC = listed_VKC.scatter(2, kept_VKR, True) & distinct[:, None]
    centrality_VKC = torch.einsum("vkc,vdc->vkd", listed_VKC.float(), alike).masked_fill(~listed_VKC, -torch.inf)
    share_above_VK = (centrality_VKC > centrality_VKC[..., :1] + 1e-6).sum(2) / listed_VKC.sum(2)
    choice_V = (share_above_VK - torch.rand(num_sequences, 1)).abs().argmin(1)
    relatives_VR = kept_VKR[torch.arange(num_sequences), choice_V]
    rows = torch.arange(num_sequences)[:, None]
    return Observations.cat([nodes[:, :1], nodes[rows, relatives_VR], context], dim=1)


def _ranks(scores: Tensor, is_distinct: Tensor) -> Tensor:
    listed = torch.where(is_distinct, scores, -torch.inf)
    target = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    return torch.minimum(retrieval_ranks(listed, target), is_distinct.sum(1))


def _mrr(scores: Tensor, is_distinct: Tensor) -> Tensor:
    return _ranks(scores, is_distinct).float().reciprocal().mean()


def _chance(num_distinct: Tensor) -> float:
    harmonic = torch.arange(1, int(num_distinct.max()) + 1).reciprocal().cumsum(0)
    return float((harmonic[num_distinct - 1] / num_distinct).mean())


def _of_another_task(tasks: Tensor) -> Tensor:
    """(V,): the next sequence of another task, from the front again at the end."""
    num = len(tasks)
    following = (torch.arange(num)[:, None] + torch.arange(1, num)) % num
    first = (tasks[following] != tasks[:, None]).long().argmax(1)
    return following[torch.arange(num), first]


def _is_distinct(keys: Tensor) -> Tensor:
    """Keys (V, C) to (V, C) bool: whether no earlier candidate of the list is equal."""
    earlier = torch.ones(keys.shape[1], keys.shape[1], dtype=torch.bool).tril(-1)
    return ~((keys[:, :, None] == keys[:, None]) & earlier).any(2)
