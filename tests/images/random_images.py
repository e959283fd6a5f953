"""Random images, as datasets give them."""

from __future__ import annotations

import torch

from jepa_core.facts import NullFacts, Role, frames
from jepa_core.observations import Observations
from jepa_plugins.images.space import ImageSpace


def random_images(*leading: int, channels: int = 1, height: int = 6, width: int = 5, seed: int = 0) -> Observations:
    """Noise (…, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return Observations({"pixels": torch.rand(*leading, channels, height, width, generator=generator)})


def null_facts(*roles: Role, num_frames: int = 4) -> NullFacts:
    """For `roles`, or for so many frames."""
    return NullFacts(space=ImageSpace(channels=1, height=6, width=5), roles=roles or frames(num_frames))
