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

_LOOKED_AT = 1 << 22
"""Numbers by which it is decided."""


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
    why = "" if asked else _why(values, trains, noun)
    if not asked and not why:
        return Standardising()
    scales = scales_of(ChannelFigures.of(values, trains))
    note = f"each {noun} is standardised by its mean and standard deviation in training: {scales_text(scales, noun)}"
    reason = f"; {why[0].lower()}{why[1:]}, and data.standardise = false leaves them so" if why else ""
    return Standardising(scales=scales, note=note + reason)


def _why(values: Tensor, trains: Tensor, noun: str) -> str:
    """What is the matter with the scales, by numbers from all over what trains: a long recording has too many to look
    at all of them unasked; empty where nothing is."""
    rows = trains.nonzero().squeeze(1)
    per_row = values[0].numel()
    few = values[rows[:: -(-len(rows) * per_row // _LOOKED_AT)]]
    if per_row > _LOOKED_AT and values.dim() > 2:
        few = few[:, :: -(-per_row // _LOOKED_AT)]
    return next((finding.title for finding in scale_findings(ChannelFigures.of(few), noun)), "")
