"""What holds for nulls: finite scores of the right shape, a candidate's own score, and a fit that can be repeated.

Tried on small sequences of every kind of place that a null may be for. V contexts, C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require
from jepa_core.contracts import Null, Observations, Sequences
from jepa_core.engine.seeds import seed_generators
from jepa_core.facts import NullFacts, Role, frames
from jepa_core.watch.nulls import are_weights

_NUM_SEQUENCES, _NUM_CANDIDATES = 6, 4
_ROLES: tuple[tuple[Role, ...], ...] = (
    ("input", "output", "input", "output"),
    ("input", "output"),
    frames(4),
    frames(2),
)
_ATOL = 1e-4


def built(trial: Trial) -> None:
    """Something to fit and to score with, or None; for at least one kind of data something."""
    nulls = [trial.config.build(_facts(trial, roles)) for roles in _ROLES]
    require(any(null is not None for null in nulls), "build gives None for pairs and for frames alike: nothing to rank")
    for null in nulls:
        missing = [name for name in ("fit", "scores") if null is not None and not callable(getattr(null, name, None))]
        require(not missing, f"{type(null).__name__} has no method {' and no '.join(missing)}")


def shaped(trial: Trial) -> None:
    """One list for all and a list for each context."""
    for null, train in _fitted(trial):
        context, shared = _context(train), trial.observations(_NUM_CANDIDATES)
        own = trial.observations(len(train), 3)
        for candidates, num in ((shared, _NUM_CANDIDATES), (own, 3)):
            scores = null.scores(context, candidates)
            require(isinstance(scores, Tensor), f"scores returns {type(scores).__name__}, not a Tensor")
            expected = (len(train), num)
            require(tuple(scores.shape) == expected, f"scores are {tuple(scores.shape)}, not {expected}")
            require(scores.dtype == torch.float32, f"scores are {scores.dtype}, not torch.float32")
            require(bool(scores.isfinite().all()), "scores are not all finite")


def candidate_by_candidate(trial: Trial) -> None:
    """Order and company of the candidates change no score: else retrieval would depend on them."""
    for null, train in _fitted(trial):
        context, shared = _context(train), trial.observations(_NUM_CANDIDATES)
        scores = null.scores(context, shared)
        turned = null.scores(context, shared.map(lambda tensor: tensor.flip(0)))
        require(_ranked_alike(scores, turned.flip(1)), "scores change with the order of the candidates")
        each = _for_each(shared, len(train))
        own = null.scores(context, each)
        require(_ranked_alike(scores, own), "a list of each context's own scores otherwise than one for all")


def fitted_alike(trial: Trial) -> None:
    """Fitting twice, and a second null on the same sample, give the same."""
    for null, train in _fitted(trial):
        found = null.fit(train)
        require(isinstance(found, dict) and are_weights(found), f"fit returns {found!r}, not names with finite numbers")
        require(null.fit(train) == found, "a second fit on the same sample finds something else")


def leaves_alone(trial: Trial) -> None:
    """Observations are the run's own, and so are its draws."""
    for null, train in _cases(trial):
        candidates = trial.observations(_NUM_CANDIDATES)
        given = [*train.observations.tensors.values(), *candidates.tensors.values()]
        before = [tensor.clone() for tensor in given]
        state = torch.get_rng_state()
        null.fit(train)
        null.scores(_context(train), candidates)
        require(all(map(torch.equal, given, before)), "it changes the observations that it is given")
        require(state.equal(torch.get_rng_state()), "it draws from torch's global generator: use one of your own")


def _fitted(trial: Trial) -> Iterator[tuple[Null, Sequences]]:
    for null, train in _cases(trial):
        null.fit(train)
        yield null, train


def _cases(trial: Trial) -> Iterator[tuple[Null, Sequences]]:
    for roles in _ROLES:
        null: Any = trial.config.build(_facts(trial, roles))
        if null is not None:
            seed_generators(trial.seed)
            observed = trial.observations(_NUM_SEQUENCES, len(roles))
            yield null, Sequences(observations=observed, tasks=torch.arange(_NUM_SEQUENCES) // 2)


def _facts(trial: Trial, roles: tuple[Role, ...]) -> NullFacts:
    return NullFacts(space=trial.space, roles=roles)


def _context(train: Sequences) -> Observations:
    return train.observations[:, :-1]


def _for_each(shared: Observations, num_contexts: int) -> Observations:
    """(C, …) to (V, C, …)."""
    return shared.map(lambda tensor: tensor.expand(num_contexts, *tensor.shape))


def _ranked_alike(scores: Tensor, others: Tensor) -> bool:
    return torch.allclose(scores, others, atol=_ATOL, rtol=_ATOL)
