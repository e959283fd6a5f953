"""The seed's SIGReg: the Epps–Pulley statistic of embeddings of unit length, where it is all but constant.

Along a random direction unit-length embeddings of 256 dimensions have a deviation of 1/16, whatever they are: against
a standard normal the statistic is then near ∫ (1 − exp(−t²/2))² exp(−t²/2) dt = 0.41, and teaches nothing. The seed
left out the factor n. `jepa_plugins.losses.sigreg` is the loss as its paper has it (arXiv 2511.08544).
"""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch

from jepa_core.contracts import Forward, LossTerm
from jepa_core.facts import LossFacts
from jepa_plugins.losses.sigreg import Sigreg, SigregConfig, epps_pulley, random_directions
from jepa_plugins.losses.unit_length import unit_length


@attrs.frozen(kw_only=True)
class SeedSigregConfig(SigregConfig):
    """Epps–Pulley statistic of unit-length embeddings, all but constant."""

    kind: ClassVar[str] = "seed_sigreg"

    def build(self, facts: LossFacts) -> SeedSigreg:  # noqa: ARG002  # dimensions are read off the embeddings
        return SeedSigreg(self)


class SeedSigreg(Sigreg):
    """Mean of the statistic over random directions, not multiplied by the number of embeddings."""

    def forward(self, forward: Forward) -> LossTerm:
        """`z_context` (B, P), scaled to unit length."""
        with torch.autocast(device_type=forward.z_context.device.type, enabled=False):
            z = unit_length(forward.z_context)
            directions_PS = random_directions(z.shape[1], self.slices, forward.crew, z.device)
            statistic_S = epps_pulley(z @ directions_PS, self.points, forward.crew)
            return LossTerm(value=statistic_S.mean() / (forward.crew.size * len(z)))
