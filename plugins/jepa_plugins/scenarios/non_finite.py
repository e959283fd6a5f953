"""A figure that is infinite or not a number: nothing learned after it can be trusted."""

from __future__ import annotations

from typing import ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.watch.rules import Scenario

FIGURES = ("loss.total", "grad.norm", "val.loss.total")


@attrs.frozen(kw_only=True)
class NonFiniteConfig:
    """A loss or the gradient's norm is infinite or not a number."""

    kind: ClassVar[str] = "non_finite"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        # By "auto" it may be fp32 already; the stop of the run knows.
        is_low = facts.recipe["train"]["precision"] in {"bf16", "fp16"}
        precision = ', or set train.precision = "fp32"' if is_low else ""
        later = f"Lower optimizer.lr{precision}. Go back to a checkpoint from before the first such value."
        # There is nothing to go back to yet, and no rate that has moved a weight.
        at_first = f"Look at the data's values, and at the losses{precision}."
        return tuple(
            Scenario(
                id=f"{self.kind}.{name}{suffix}",
                title=f"{name} is not finite",
                when=f"not finite({name}) and {when}",
                severity="critical",
                advice=advice,
            )
            for name in FIGURES
            for suffix, when, advice in (("", "not step <= 1", later), (".first_step", "step <= 1", at_first))
        )
