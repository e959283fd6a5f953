"""The demo's figures as a trainer would record them: the plot with noise, under the metrics' names.

Figures that belong together agree: use, dead codes and perplexity follow from the counts per code, effective ranks
from the spectra, shares of the gradient add up to one.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_monitor.demo.story import STEPS_PER_EPOCH, Plot, learning_rate

NUM_CODES = 768
SAMPLES_PER_STEP = 1024
NULLS = RankedNulls(
    figures=(
        NullFigures(name="extrapolation", mrr=0.346, top1=0.168, hard_mrr=0.392, weights={"earlier": -1.0}),
        NullFigures(name="palette_and_size", mrr=0.316, top1=0.101, hard_mrr=0.287),
        NullFigures(name="equal_cells", mrr=0.242, top1=0.064, hard_mrr=0.331),
    ),
    strongest_hard="extrapolation",
)
"""What learns nothing, on the demo's data."""
DATA_FINGERPRINT = "demo"
"""Of the data that is not there; the baseline's figures in the demo's recipe are for it."""
CANDIDATES = 1024
"""Different targets of its validation."""

_HALF_INTERVAL = 0.018
_PROJECTION_DIM = 256
_TOKENS = 48_000
_CLIP_NORM = 10.0
_USUAL_SECONDS = 0.012
"""Of a step, where the story is written as fast as it can."""

Floats = NDArray[np.float64]


@attrs.frozen
class Diagnosis:
    """One look at the model."""

    figures: dict[str, float]
    """For the metrics row."""
    detail: dict[str, Any]
    """For diagnostics.jsonl."""


class Figures:
    """Draws one leg's figures, in the order of its steps; the same seed and leg give the same."""

    def __init__(self, plot: Plot, seed: int, leg: int, seconds_per_step: float) -> None:
        self._plot = plot
        self._random = np.random.default_rng([seed, leg])
        self._seconds_per_step = seconds_per_step or _USUAL_SECONDS
        popularity = np.random.default_rng(seed)
        self._favour = popularity.permutation(NUM_CODES)
        """Each code's place: the last ones fall out of use first, in every leg the same."""
        self._liking = popularity.lognormal(sigma=0.8, size=NUM_CODES)

    def training(self, step: int) -> dict[str, float]:
        """The means since the last row; losses and gradient are not numbers where the plot says so."""
        plot = self._plot
        norm = plot.gradient(step) * self._noise(0.16)
        row = self._losses(step) | {
            "temperature": 0.0582 + 0.0118 * math.exp(-step / 500) + self._jitter(1e-4),
            "grad.norm": norm,
            "grad.clipped": 1 / (1 + math.exp(min(50.0, 2.5 * (_CLIP_NORM - norm)))),
            "grad.skipped": 0.0,
            "lr": learning_rate(step),
            "target.ema_decay": 0.99,
        }
        if not plot.is_finite(step):
            row |= dict.fromkeys(("loss.total", "loss.relational", "loss.relational.raw", "grad.norm"), math.nan)
        seconds = self._seconds_per_step * self._noise(0.03)
        return row | {
            "time.step": seconds,
            "time.data": 0.02 * seconds * self._noise(0.2),
            "throughput.samples_per_second": SAMPLES_PER_STEP / seconds,
            "memory.device_gib": 11.3,
        }

    def diagnosis(self, step: int) -> Diagnosis:
        """Ranks, codes, attention, movement and shares of the gradient."""
        context, target = self._spectrum(1.0, step), self._spectrum(1.42, step)
        counts = self._counts(step)
        weights = self._time_weights(step)
        order = 0.29 * (1 - math.exp(-step / 420)) * self._noise(0.05)
        figures = {
            "rank.context": _effective_number(context),
            "rank.target": _effective_number(target),
            "std.context": 0.0521 * self._noise(0.02),
            "std.target": 0.0574 * self._noise(0.02),
            "align": (0.42 + 0.7 * math.exp(-step / 400) + 0.12 * self._plot.harm(step)) * self._noise(0.03),
            "uniform": -1.1 - 1.7 * (1 - math.exp(-step / 500)) + self._jitter(0.03),
            "order.sensitivity": order,
            "attention.entropy": _effective_entropy(weights),
            "vq.usage": float(np.count_nonzero(counts)) / NUM_CODES,
            "vq.perplexity": _effective_number(_shares(counts.astype(np.float64))),
            "vq.dead": float(np.count_nonzero(counts == 0)),
            "target.distance": 0.021 * self._noise(0.06),
            "moved.encoder": 0.011 * math.sqrt(step),
            "moved.aggregator": 0.016 * math.sqrt(step),
            **self._gradient_shares(step),
            **_retrieval("retrieval", min(0.95, 1.9 * self._plot.retrieval(step)) * self._noise(0.02)),
        }
        spectrum = {"context": context.tolist(), "target": target.tolist()}
        detail = {"spectrum": spectrum, "code_counts": counts.tolist(), "time_weights": weights.tolist()}
        return Diagnosis(figures, detail)

    def validation(self, step: int) -> dict[str, float]:
        """The figures on the validation split."""
        plot = self._plot
        raw = plot.info_nce(step) - 2.05 + self._jitter(0.02)
        retrieval = _retrieval("val.retrieval", plot.retrieval(step) + self._jitter(0.0035))
        return {
            "val.loss.total": raw + plot.relational(step) + 0.21 + self._jitter(0.01),
            "val.loss.info_nce.raw": raw,
            "val.rank.context": 0.94 * plot.rank(step) * self._noise(0.02),
            "val.rank.target": 1.36 * plot.rank(step) * self._noise(0.02),
            **retrieval,
            **self._beside_nulls(retrieval["val.retrieval.mrr"]),
            **(NULLS.first_row() if step == STEPS_PER_EPOCH else {}),
        }

    def _beside_nulls(self, mrr: float) -> dict[str, float]:
        """The strongest null, how far the model is above it, and near copies of the target with their controls."""
        strongest, hardest = NULLS.strongest, NULLS.hardest
        assert strongest is not None
        assert hardest is not None
        above = mrr - strongest.mrr
        return {
            "val.retrieval.candidates": float(CANDIDATES),
            "val.retrieval.null_mrr": strongest.mrr,
            "val.retrieval.null_top1": strongest.top1,
            "val.retrieval.above_null": above,
            "val.retrieval.above_null_low": above - _HALF_INTERVAL,
            "val.retrieval.above_null_high": above + _HALF_INTERVAL,
            "val.hard.mrr": 0.17 + 0.9 * mrr,
            "val.hard.top1": 0.5 * mrr,
            "val.hard.null_mrr": hardest.hard_mrr or 0.0,
            "val.hard.blind_mrr": 0.174 + self._jitter(0.004),
            "val.hard.medoid_mrr": 0.215,
            "val.hard.chance_mrr": 0.173,
        }

    def _losses(self, step: int) -> dict[str, float]:
        plot = self._plot
        weighted = {
            "info_nce": plot.info_nce(step) * self._noise(0.012),
            "relational": plot.relational(step) * self._noise(0.09),
            "sigreg": (0.14 + 0.2 * math.exp(-step / 120)) * self._noise(0.04),
            "invariance": (0.021 + 0.03 * math.exp(-step / 300)) * self._noise(0.06),
            "quantizer": (0.034 + 0.05 * math.exp(-step / 200)) * self._noise(0.05),
        }
        weights = {"relational": 0.02, "sigreg": 0.1}
        raw = {f"loss.{name}.raw": value / weights.get(name, 1.0) for name, value in weighted.items()}
        return {"loss.total": sum(weighted.values()), **{f"loss.{name}": v for name, v in weighted.items()}, **raw}

    def _gradient_shares(self, step: int) -> dict[str, float]:
        parts = {
            "info_nce": 1.0,
            "relational": 0.06 * self._plot.relational(step) / 0.022,
            "sigreg": 0.19,
            "invariance": 0.05,
            "quantizer": 0.08,
        }
        noisy = {name: part * self._noise(0.06) for name, part in parts.items()}
        total = sum(noisy.values())
        return {f"grad.share.{name}": part / total for name, part in noisy.items()}

    def _spectrum(self, factor: float, step: int) -> Floats:
        """Eigenvalues as shares of their sum, descending, whose effective number is about the plot's rank."""
        # The tail below adds about an eighth to the effective number.
        rank = max(1.2, 0.88 * factor * self._plot.rank(step) * self._noise(0.025))
        index = np.arange(_PROJECTION_DIM)
        decay = np.exp(-index * math.e / rank) + 0.003 * np.exp(-index / 30)
        noise = self._random.lognormal(sigma=0.12, size=_PROJECTION_DIM)
        return _shares(np.sort(decay * noise)[::-1])

    def _counts(self, step: int) -> NDArray[np.int64]:
        """How often each code was chosen over the diagnostics sample."""
        in_use = round(NUM_CODES * min(max(self._plot.usage(step) + self._jitter(0.005), 0.01), 1.0))
        strength = (
            np.exp(-2.2 * self._favour / in_use) * self._liking * self._random.lognormal(sigma=0.25, size=NUM_CODES)
        )
        chosen = self._favour < in_use
        shares = np.where(chosen, strength, 0.0)
        return np.where(chosen, 1 + np.floor(_TOKENS * shares / shares.sum()), 0).astype(np.int64)

    def _time_weights(self, step: int) -> Floats:
        """The newest grid comes to count most."""
        learned = 1 - math.exp(-step / 500)
        logits = learned * np.array([-0.55, 0.05, 0.95]) + self._random.normal(scale=0.03, size=3)
        return _shares(np.exp(logits))

    def _noise(self, spread: float) -> float:
        """A factor about 1."""
        return float(self._random.lognormal(sigma=spread))

    def _jitter(self, spread: float) -> float:
        """A term about 0."""
        return float(self._random.normal(scale=spread))


def _retrieval(prefix: str, mrr: float) -> dict[str, float]:
    mrr = min(max(mrr, 0.005), 1.0)
    return {f"{prefix}.mrr": mrr, f"{prefix}.top1": 0.76 * mrr, f"{prefix}.top10": min(1.0, 1.55 * mrr)}


def _shares(values: Floats) -> Floats:
    total: np.float64 = values.sum()
    return values / total


def _effective_number(shares: Floats) -> float:
    """Exponential of the entropy."""
    positive = shares[shares > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def _effective_entropy(weights: Floats) -> float:
    """Entropy relative to that of equal weights."""
    return math.log(_effective_number(weights)) / math.log(len(weights))
