"""No predictor: the state itself is compared with the target."""

from __future__ import annotations

from typing import ClassVar

import attrs
from torch import nn

from jepa_core.facts import PredictorFacts
from jepa_core.metrics import Metric


@attrs.frozen(kw_only=True)
class IdentityConfig:
    """No predictor: the aggregated state passes through unchanged."""

    kind: ClassVar[str] = "identity"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, _facts: PredictorFacts) -> nn.Identity:
        return nn.Identity()
