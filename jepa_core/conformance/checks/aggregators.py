"""What holds for aggregators alone: weights over time that can be shown."""

from __future__ import annotations

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import ShowsWeights


def weights_are_shares(trial: Trial) -> None:
    """Weights over time are non-negative and sum to one."""
    aggregator = trial.build()
    if not isinstance(aggregator, ShowsWeights):
        raise NotApplicable("it shows no weights (no `time_weights`)")
    inputs = trial.inputs(aggregator)
    weights = aggregator.time_weights(inputs["values"], inputs["mask"]).detach().float()
    shape = (trial.situation.batch, trial.situation.context_length)
    require(tuple(weights.shape) == shape, f"time_weights have the shape {tuple(weights.shape)}, not {shape}")
    require(bool((weights >= 0).all()), f"a weight over time is {float(weights.min()):.3g}, below zero")
    sums = weights.sum(-1)
    worst = float(sums[(sums - 1).abs().argmax()])
    require(abs(worst - 1) <= 1e-5, f"weights over time sum to {worst:.6g}, not to one")
