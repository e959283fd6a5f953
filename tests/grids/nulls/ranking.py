"""A null's ranks on a dataset, and random grids as datasets give them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jepa_core.contracts import Null, Observations, SequenceDataset
from jepa_core.engine.nulls import training_sample
from jepa_core.engine.retrieval import CandidateList, Retrieval, figures_of
from jepa_core.facts import NullFacts, Role
from jepa_plugins.grids.colours import OUTSIDE
from jepa_plugins.grids.space import GridSpace

CPU = torch.device("cpu")


def retrieval_of(dataset: SequenceDataset, config: Any) -> Retrieval:
    """What a null reaches on a dataset's validation targets, fitted as a run fits it."""
    null: Null = config.build(NullFacts(space=dataset.space, roles=dataset.places()))
    null.fit(training_sample(dataset, CPU))
    candidates = CandidateList(dataset.space, dataset.validation.observations)
    return figures_of(candidates.ranks(null.scores(candidates.context, candidates.candidates)))


def facts(*roles: Role, side: int = 6) -> NullFacts:
    return NullFacts(space=GridSpace(side=side), roles=roles)


def random_observations(*leading: int, side: int = 6, seed: int = 0) -> Observations:
    """Grids of random sizes, content in the corner and the outside beyond it."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, side + 1, (*leading, 2), generator=generator)
    grids = torch.randint(0, 10, (*leading, side, side), generator=generator)
    cells = torch.arange(side)
    is_inside = (cells[:, None] < sizes[..., 0, None, None]) & (cells < sizes[..., 1, None, None])
    return Observations({"grid": torch.where(is_inside, grids, OUTSIDE).to(torch.uint8), "size": sizes})


def described(grid: Tensor, size: Tensor, weights: dict[str, float]) -> dict[str, Tensor]:
    """φ of one grid by the formula: √weight × each block."""
    side = grid.shape[-1]
    cells = F.one_hot(grid.flatten().long(), 11).double().flatten() / side
    counts = torch.stack([(grid == colour).sum() for colour in range(10)]).double()
    blocks = {
        "cells": cells,
        "palette": (counts > 0).double(),
        "shares": counts / size.prod(),
        "size": F.one_hot(size, side + 1).double().flatten(),
    }
    return {name: block * weights[name] ** 0.5 for name, block in blocks.items()}
