"""The plot of the demo: what the figures do over the steps, without noise, and after which steps what is written.

All goes well; then codes fall out of use little by little, since nothing brings them back; the relational loss, which
grows with the fourth power of the embeddings' scale, runs away; a value is no longer finite. A leg that begins after a
rollback is mended: its codes come back, and its relational loss stays small. Knows no files and no rules.
"""

from __future__ import annotations

import math

import attrs

TOTAL_EPOCHS = 40
STEPS_PER_EPOCH = 49
"""98 micro-batches of 512, two to a step."""
TOTAL_STEPS = TOTAL_EPOCHS * STEPS_PER_EPOCH

LOG_EVERY = 4
DIAGNOSE_EVERY = 20
CHECKPOINT_EVERY_EPOCHS = 2
"""What is written when, as in the demo's recipe."""

SLIDE_FROM = 380
EXPLOSION_FROM = 640
NON_FINITE_AT = 1240
"""The row of the first step that is not finite."""

_PEAK_LR = 3e-4
_WARMUP_STEPS = 150


@attrs.frozen(kw_only=True)
class Plot:
    """The course of one leg: of the first, or of one that was rolled back to `mended_at` with the change made."""

    mended_at: float | None = None

    @property
    def ends_at(self) -> int:
        """The leg's last step."""
        return NON_FINITE_AT if self.mended_at is None else TOTAL_STEPS

    def is_finite(self, step: float) -> bool:
        return self.mended_at is not None or step < NON_FINITE_AT

    def usage(self, step: float) -> float:
        """Share of codes in use: level, then down to 7 % in a slide; after the change back up, by and by."""
        if self.mended_at is None or step < self.mended_at:
            return 0.242 - 0.172 * _rise(step, SLIDE_FROM, 1090)
        low = 0.242 - 0.172 * _rise(self.mended_at, SLIDE_FROM, 1090)
        return low + (0.214 - low) * _approach(step - self.mended_at, 170)

    def relational(self, step: float) -> float:
        """The relational loss, weighted: it settles fast; without the change it grows, by e every 90 steps."""
        settled = 0.022 + 0.34 * math.exp(-step / 26)
        if self.mended_at is not None and step >= self.mended_at:
            return 0.0068 + 0.0012 * math.exp(-(step - self.mended_at) / 200)
        return settled + 0.022 * math.expm1(max(0.0, step - EXPLOSION_FROM) / 90)

    def harm(self, step: float) -> float:
        """How much the explosion and the slide cost everything else, from 0 on; 0 in a leg that is mended."""
        if self.mended_at is not None:
            return 0.0
        return math.log1p(self.relational(step)) * _rise(step, EXPLOSION_FROM, NON_FINITE_AT)

    def retrieval(self, step: float) -> float:
        """MRR on validation: past the strongest null halfway, when nothing goes wrong."""
        return 0.096 + 0.335 * _approach(step, 620) - 0.052 * self.harm(step)

    def info_nce(self, step: float) -> float:
        """InfoNCE over the batch and a queue of 8,192: from chance, which is log(8,704) = 9.07."""
        return 5.16 + 3.91 * math.exp(-step / 430) + 0.35 * self.harm(step)

    def rank(self, step: float) -> float:
        """Effective rank of the context embeddings: it grows, with the scale that drives the relational loss too."""
        healthy = 4.1 + 4.9 * _approach(step, 800)
        surge = 0.0 if self.mended_at is not None else 1.6 * _rise(step, EXPLOSION_FROM, 1000)
        return healthy + surge - 2.0 * self.harm(step)

    def gradient(self, step: float) -> float:
        """Norm of the gradient before clipping."""
        return 3.6 + 4.5 * math.exp(-step / 90) + 22.0 * self.harm(step)


def epoch_of(step: float) -> float:
    """Passes over the data, a real number."""
    return step / STEPS_PER_EPOCH


def learning_rate(step: float) -> float:
    """Linear warm-up, then a cosine to a tenth."""
    if step < _WARMUP_STEPS:
        return _PEAK_LR * step / _WARMUP_STEPS
    done = (step - _WARMUP_STEPS) / (TOTAL_STEPS - _WARMUP_STEPS)
    return _PEAK_LR * (0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0))))


def _approach(steps: float, scale: float) -> float:
    """From 0 to 1, by 63 % every `scale` steps."""
    return 1 - math.exp(-max(steps, 0.0) / scale)


def _rise(step: float, start: float, end: float) -> float:
    """From 0 at `start` to 1 at `end`, without a corner at either."""
    x = min(max((step - start) / (end - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def is_row_due(step: int) -> bool:
    """Whether a metrics row is written after this step."""
    return step % LOG_EVERY == 0 or is_diagnosis_due(step) or is_validation_due(step)


def is_diagnosis_due(step: int) -> bool:
    """Whether its row holds ranks and codes."""
    return step % DIAGNOSE_EVERY == 0 or step == TOTAL_STEPS


def is_validation_due(step: int) -> bool:
    """Whether its row holds retrieval."""
    return step % STEPS_PER_EPOCH == 0


def is_checkpoint_due(step: int) -> bool:
    """Whether a checkpoint is left after this step."""
    return step % (CHECKPOINT_EVERY_EPOCHS * STEPS_PER_EPOCH) == 0
