"""The space of series: `values` (…, L, C) float32, a piece of a recording of L steps and C channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from jepa_core.errors import DataError
from jepa_core.observations import Observations
from jepa_core.settings import setting
from jepa_core.spaces import Edit, Fill, SpaceAudit
from jepa_plugins.series.edits import edited
from jepa_plugins.vectors.real_values import audited_values, check_values, keys_of, likeness
from jepa_plugins.vectors.scales import Scales, as_scales, check_scales, scaled, scales_text


@attrs.frozen(kw_only=True)
class SeriesSpace:
    """Series of `length` steps and `channels` channels, finite numbers."""

    kind: ClassVar[str] = "series"
    plural: ClassVar[str] = "series"

    length: int = setting("steps of a series", at_least=1, unit="steps")
    channels: int = setting("values at each step", at_least=1)
    standardised: Scales = attrs.field(default=(), converter=as_scales)
    """Mean and standard deviation that each channel has been standardised by."""

    @standardised.validator
    def _one_for_each_channel(self, _: Any, scales: Scales) -> None:
        check_scales(scales, self.channels, "channel")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A usual one, and a single number."""
        return cls(length=12, channels=2), cls(length=1, channels=1)

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """(num, L, C) normal numbers, some steps or all of them zeros where little is to be in them."""
        share = {"some": 0.7, "none": 0.0, "all": 1.0}[fill]
        holds = torch.rand(num, self.length, 1) < share
        drawn = torch.randn(num, self.length, self.channels)
        return Observations({"values": torch.where(holds, drawn, 0.0)})

    def check(self, observations: Observations) -> None:
        """`values` (S, T+1, L, C) float32, finite.

        Raises:
            ValueError: it is not so.
        """
        check_values(observations, (self.length, self.channels), self.plural, "steps × channels")

    def describe(self) -> str:
        """In the plural."""
        scales = f", standardised ({scales_text(self.standardised, 'channel')})" if self.standardised else ""
        return f"series of {_counted(self.length, 'step')} with {_counted(self.channels, 'channel')}{scales}"

    def fitted(self, observations: Observations) -> Observations:
        """The same, (…, L, C): steps that were not recorded cannot be added.

        Raises:
            DataError: they have another length, or other channels.
        """
        length, channels = observations["values"].shape[-2:]
        if (length, channels) != (self.length, self.channels):
            other = SeriesSpace(length=length, channels=channels)
            raise DataError(
                f"The weights take {self.describe()}, and this data has {other.describe()}. Cut it into pieces of "
                f"{_counted(self.length, 'step')}, with --set data.length={self.length} where the dataset has it, and "
                "give the channels that the weights were trained on."
            )
        return observations

    def scaled(self, observations: Observations) -> Observations:
        """(…, L, C) in the units of the data to the same standardised; as they are where this space is not."""
        return observations.map(lambda values: scaled(values, self.standardised))

    def keys(self, observations: Observations) -> Tensor:
        """(…, L, C) to (…) int64, of the bits of all numbers."""
        return keys_of(observations["values"], 2)

    def alike(self, observations: Observations) -> Tensor:
        """(V, N, L, C) to (V, N, N) in (0, 1]: how near series are, beside how near they are on average in their
        list."""
        return likeness(observations["values"].flatten(2))

    def editor(self, sequences: Observations) -> Edit:
        """A piece reversed, two exchanged, a roll by one step or a piece upside down; else one value of the sequence.

        For one series (S, L, C) of each sequence (S, T+1, L, C).
        """
        pool = sequences["values"].flatten(1, 2)

        def edit(observations: Observations) -> Observations:
            return Observations({"values": edited(observations["values"], pool)})

        return edit

    def features(self, observations: Observations) -> Mapping[str, Tensor]:
        """Values as they stand, all steps and channels."""
        return {"values": observations["values"].flatten(1)}

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:  # noqa: ARG002  # every encoder suits them
        """Length, channels, range, and each channel's mean and standard deviation, of (S, T+1, L, C)."""
        size = f"{_counted(self.length, 'step')} · {_counted(self.channels, 'channel')}"
        return audited_values(observations["values"], "series", size, "channel", self.standardised)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
