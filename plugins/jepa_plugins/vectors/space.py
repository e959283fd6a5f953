"""The space of vectors: `values` (…, D) float32, such as an embedding or the state of a system at a moment."""

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
from jepa_plugins.vectors.edits import edited
from jepa_plugins.vectors.real_values import audited_values, check_values, keys_of, likeness
from jepa_plugins.vectors.scales import Scales, as_scales, check_scales, scaled, scales_text


@attrs.frozen(kw_only=True)
class VectorSpace:
    """Vectors of `dim` finite numbers."""

    kind: ClassVar[str] = "vector"
    plural: ClassVar[str] = "vectors"

    dim: int = setting("numbers of a vector", at_least=1)
    standardised: Scales = attrs.field(default=(), converter=as_scales)
    """Mean and standard deviation that each dimension has been standardised by."""

    @standardised.validator
    def _one_for_each_dimension(self, _: Any, scales: Scales) -> None:
        check_scales(scales, self.dim, "dimension")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A usual one, and a single number."""
        return cls(dim=6), cls(dim=1)

    def sample(self, num: int, fill: Fill = "some") -> Observations:
        """(num, D) normal numbers, some of them or all zeros where little is to be in them."""
        share = {"some": 0.7, "none": 0.0, "all": 1.0}[fill]
        holds = torch.rand(num, self.dim) < share
        return Observations({"values": torch.where(holds, torch.randn(num, self.dim), 0.0)})

    def check(self, observations: Observations) -> None:
        """`values` (S, T+1, D) float32, finite.

        Raises:
            ValueError: it is not so.
        """
        check_values(observations, (self.dim,), self.plural, "numbers")

    def describe(self) -> str:
        """In the plural."""
        scales = f", standardised ({scales_text(self.standardised, 'dimension')})" if self.standardised else ""
        return f"vectors of {self.dim:,} number{'s' if self.dim > 1 else ''}{scales}"

    def fitted(self, observations: Observations) -> Observations:
        """The same, (…, D): numbers cannot be added or left out.

        Raises:
            DataError: they have another dimension.
        """
        dim = observations["values"].shape[-1]
        if dim != self.dim:
            raise DataError(
                f"The weights take {self.describe()}, and this data has {VectorSpace(dim=dim).describe()}. "
                "Give the numbers the weights were trained on, in the same order."
            )
        return observations

    def scaled(self, observations: Observations) -> Observations:
        """(…, D) in the units of the data to the same standardised; as they are where this space is not."""
        return observations.map(lambda values: scaled(values, self.standardised))

    def keys(self, observations: Observations) -> Tensor:
        """(…, D) to (…) int64, of the bits of all numbers."""
        return keys_of(observations["values"], 1)

    def alike(self, observations: Observations) -> Tensor:
        """(V, C, D) to (V, C, C) in (0, 1]: how near vectors are, beside how near they are on average in their list."""
        return likeness(observations["values"])

    def editor(self, sequences: Observations) -> Edit:
        """Some numbers turned about the midpoint of two moments of sequences (S, T+1, D), or moved as between them."""
        moments = sequences["values"]

        def edit(observations: Observations) -> Observations:
            return Observations({"values": edited(observations["values"], moments)})

        return edit

    def features(self, observations: Observations) -> Mapping[str, Tensor]:
        """The numbers as they stand."""
        return {"values": observations["values"].flatten(1)}

    def audit(self, observations: Observations, encoder: Any) -> SpaceAudit:  # noqa: ARG002  # every encoder suits them
        """Range, means and standard deviations of the numbers (S, T+1, D)."""
        size = f"{self.dim:,} numbers"
        return audited_values(observations["values"], "vectors", size, "dimension", self.standardised)
