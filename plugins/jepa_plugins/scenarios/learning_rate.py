"""A learning rate that has reached its floor while validation still improves: the run ends before it is done."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from jepa_core.facts import ScenarioFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.watch.rules import Scenario

SMALLEST_FLOOR = 0.01
"""A floor of 0 is reached at the very end; below this share of the peak a rate counts as at its floor."""


@attrs.frozen(kw_only=True)
class LrAtFloorConfig:
    """The learning rate is at its floor, and the loss still falls."""

    kind: ClassVar[str] = "lr_at_floor"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    falling: float = setting("fall of the validation loss an epoch that counts, as a share", default=0.005, above=0)

    def build(self, facts: ScenarioFacts) -> tuple[Scenario, ...]:
        peak, schedule = facts.recipe["optimizer"]["lr"], facts.recipe["schedule"]
        if schedule["floor"] >= 1:
            return ()
        floor = 1.01 * max(schedule["floor"], SMALLEST_FLOOR) * peak
        # A rate as low as this comes in warm-up too: the peak has to lie behind it.
        reached = f"max(lr, 5) <= {floor:g} and max(lr) > {0.5 * (floor + peak):g}"
        loss = "val.loss.total"
        # A slope of few values is noise: the newest must all lie below those before them.
        falls = f"max({loss}, 4) < min({loss}, 4, 4) and slope({loss}, 8) < -{self.falling:g} * {loss}"
        return (
            Scenario(
                id=self.kind,
                title="The learning rate is at its floor, and the loss still falls",
                when=f"{reached} and {loss} > 0 and {falls}",
                severity="info",
                set=_longer(facts),
                advice="The schedule is shorter than what there is to learn: train longer, or raise schedule.floor.",
            ),
        )


def _longer(facts: ScenarioFacts) -> dict[str, Any]:
    """Half as many epochs again, where the schedule follows the run's length."""
    if facts.recipe["schedule"].get("total_steps") is not None:
        return {}
    return {"train": {"epochs": -(-3 * facts.recipe["train"]["epochs"] // 2)}}
