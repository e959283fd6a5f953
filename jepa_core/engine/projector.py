"""The MLP from embeddings to the space in which context and target are compared."""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain, pairwise, repeat

from torch import nn

from jepa_core.recipes.tables import Projector


def build_projector(config: Projector, embedding_dim: int) -> nn.Sequential:
    """(…, D) → (…, P)."""
    hidden = config.hidden_dim or embedding_dim
    widths = chain([embedding_dim], repeat(hidden, config.layers - 1), [config.dim])
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (width_in, width_out) in enumerate(pairwise(widths)):
        if index:
            modules[f"relu{index}"] = nn.ReLU()
        modules[f"linear{index}"] = nn.Linear(width_in, width_out)
    if config.final_relu:
        modules["final_relu"] = nn.ReLU()
    return nn.Sequential(modules)
