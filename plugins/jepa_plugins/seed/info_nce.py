"""The seed's InfoNCE: in a validation's total, too, it has the queue among its candidates.

So the total of a fresh network starts near ln(8,704) = 9.07 with a batch of 512 and a queue of 8,192, and can be held
against the seed's thresholds. Judged over the whole candidate list, without queue, it is `InfoNce`.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import LossFacts
from jepa_plugins.losses.info_nce import InfoNce, InfoNceConfig


@attrs.frozen(kw_only=True)
class SeedInfoNceConfig(InfoNceConfig):
    """Contrast of the right target with others, the queue counting in a validation's total."""

    kind: ClassVar[str] = "seed_info_nce"

    def build(self, facts: LossFacts) -> SeedInfoNce:
        return SeedInfoNce(self, facts.projection_dim)


class SeedInfoNce(InfoNce):
    """`InfoNce`, whose mean over batches stays in the total."""

    total_from_batches = True
