"""Whether the channels of the user's series and vectors are standardised, by what, and what is said of it."""

from __future__ import annotations

import attrs
from torch import Tensor

from jepa_core.contracts import Space
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.real_values import ChannelFigures, scale_findings
from jepa_plugins.vectors.scales import Scales, scales_of, scales_text
from jepa_plugins.vectors.space import VectorSpace

_MOST_UNASKED = 1 << 32
"""Bytes of float32 that are copied where the recipe does not ask for it: a file larger than memory may be mapped."""


@attrs.frozen(kw_only=True)
class Standardising:
    """What is done to the channels."""

    scales: Scales = ()
    note: str = ""


def standardising(
    asked: bool | None, values: Tensor, trains: Tensor, *, noun: str, trained: Space | None
) -> Standardising:
    """
    Args:
        asked: what the recipe says; None where it leaves it to what the scales are.
        values: (rows, …, C) float32.
        trains: (rows,) bool.
        noun: what a channel is called.
        trained: the space of the weights that the data is for, where there are any: their scales stay theirs.
    """
    if isinstance(trained, SeriesSpace | VectorSpace):
        scales = trained.standardised
        if len(scales) != values.shape[-1]:  # none, or of other channels, which whoever asked refuses
            left = "data.standardise = true has no effect: the weights were trained on values as they are given"
            return Standardising(note=left if asked and not scales else "")
        return Standardising(
            scales=scales, note=f"each {noun} is standardised as it was in training: {scales_text(scales, noun)}"
        )
    if asked is False or (asked is None and 4 * values.numel() > _MOST_UNASKED):
        return Standardising()
    found = ChannelFigures.of(values, trains)
    why = "" if asked else next((finding.title for finding in scale_findings(found, noun)), "")
    if not asked and not why:
        return Standardising()
    scales = scales_of(found)
    note = f"each {noun} is standardised by its mean and standard deviation in training: {scales_text(scales, noun)}"
    reason = f"; {why[0].lower()}{why[1:]}, and data.standardise = false leaves them so" if why else ""
    return Standardising(scales=scales, note=note + reason)
