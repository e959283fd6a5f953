"""What spaces of real numbers share: the check of `values`, keys, likeness, and figures of each channel.

Shapes: "…" leading dimensions, the others those of one observation, the last of them C channels; V lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import torch
from torch import Tensor

from jepa_core.observations import Observations
from jepa_core.spaces import SpaceAudit, require, shape_text
from jepa_core.watch.findings import Finding

FAR_FROM_ZERO = 3.0
"""A mean of more standard deviations than that hides what varies about it."""

SMALL, LARGE = 0.1, 100.0
"""Where the largest standard deviation of a channel is below, embeddings of a new network hardly differ; above, it
learns slowly. Measured, as the next: docs/your-data.md, Scales."""

MUCH_LARGER = 100.0
"""Ratio of the channels' standard deviations from which the smaller one hardly counts."""

SQUARES = 1e18
"""Beyond it, and below one part in it, sums of squares are no longer what float32 holds."""

NUMBERS_AT_ONCE = 1 << 22
"""Bounds copies in 64 bits: 32 MB."""

_STANDARDISED = {"data": {"standardise": True}}
"""What mends it, for datasets that have this setting."""

_NAMED_CHANNELS = 3
"""Named in a sentence, of those it is about."""


def check_values(observations: Observations, shape: tuple[int, ...], plural: str, dims: str) -> None:
    """See that `values` (S, T+1, *shape) are there, float32 and finite.

    Raises:
        ValueError: they are not; with the value and the place that show it. `dims` says what the shape counts.
    """
    names = sorted(observations.tensors)
    require(names == ["values"], f"its tensors are {', '.join(names)}: {plural} have values")
    values = observations["values"]
    found = tuple(values.shape[2:])
    remedy = "convert them with .float()" if values.dtype != torch.bool else "give numbers"
    require(values.dtype == torch.float32, f"values are {values.dtype}, not torch.float32: {remedy}")
    require(found == shape, f"{plural} are {shape_text(found)}, not {shape_text(shape)} ({dims})")
    num_wrong, first = not_finite(values)
    if first is not None:
        value = float(values[first])
        raise ValueError(
            f"{num_wrong:,} of {values.numel():,} values are not finite, the first, {value}, at values{list(first)}: "
            "fill them in, or leave out what they are in"
        )


def not_finite(values: Tensor) -> tuple[int, tuple[int, ...] | None]:
    """How many of values (S, …) are NaN, infinite or beyond float32, and where the first is; read in parts."""
    num_wrong, first, start = 0, None, 0
    for part in parts_of(values):
        wrong = ~part.float().isfinite()
        count = int(wrong.sum())
        if count and first is None:
            row, *place = wrong.nonzero()[0].tolist()
            first = (start + row, *place)
        num_wrong += count
        start += len(part)
    return num_wrong, first


def keys_of(values: Tensor, num_dims: int) -> Tensor:
    """Values (…, of one observation in `num_dims` dimensions) to (…) int64: a sum over mixed bits modulo 2^64.

    −0.0 equals 0.0.
    """
    flat = values.flatten(-num_dims)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(-(2**62), 2**62, (2, flat.shape[-1]), generator=generator).to(flat.device)
    offsets, factors = drawn[0], drawn[1] * 2 + 1
    rows = flat.reshape(-1, flat.shape[-1])
    return torch.cat([_mixed(part, offsets, factors) for part in parts_of(rows)]).view(flat.shape[:-1])


def _mixed(values: Tensor, offsets: Tensor, factors: Tensor) -> Tensor:
    bits = (values + 0.0).view(torch.int32).long() + offsets
    # The low bits of round numbers are all zeros: without mixing half of the 64 bits would say nothing.
    bits = bits * 0x1E3779B97F4A7C15
    return ((bits ^ (bits >> 29)) * factors).sum(-1)


def likeness(values: Tensor) -> Tensor:
    """Lists (V, C, F) to (V, C, C) in (0, 1]: 1 / (1 + squared distance over the list's mean of those)."""
    likenesses = []
    for part in parts_of(values):
        wide = part.double()
        squared = torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist").square()
        mean = squared.sum((1, 2), keepdim=True) / max(1, part.shape[1] * (part.shape[1] - 1))
        likenesses.append(1 / (1 + squared / mean.clamp(min=torch.finfo(mean.dtype).tiny)))
    return torch.cat(likenesses).float()


def parts_of(values: Tensor) -> tuple[Tensor, ...]:
    """Values (S, …) in parts of so many rows that copies stay small."""
    per_row = max(1, values[:1].numel())
    parts: tuple[Tensor, ...] = values.split(max(1, NUMBERS_AT_ONCE // per_row))
    return parts


@attrs.frozen(kw_only=True)
class ChannelFigures:
    """Of each channel, (C,) float64."""

    least: Tensor
    most: Tensor
    mean: Tensor
    std: Tensor

    @staticmethod
    def of(values: Tensor, chosen: Tensor | None = None) -> ChannelFigures:
        """Of values (S, …, C), or of the rows that `chosen` (S,) says; these are copied in parts alone."""
        dims = tuple(range(values.dim() - 1))

        def parts() -> Iterator[Tensor]:
            whole = parts_of(values)
            if chosen is None:
                yield from whole
                return
            for part, its in zip(whole, chosen.split(len(whole[0])), strict=True):
                if its.any():
                    yield part if its.all() else part[its]

        num_rows = len(values) if chosen is None else int(chosen.sum())
        count = max(1, num_rows * values[:1, ..., 0].numel())
        mean = torch.stack([part.sum(dims, dtype=torch.float64) for part in parts()]).sum(0) / count
        squares = [(part - mean).square().sum(dims) for part in parts()]
        return ChannelFigures(
            least=torch.stack([part.amin(dims) for part in parts()]).amin(0).double(),
            most=torch.stack([part.amax(dims) for part in parts()]).amax(0).double(),
            mean=mean,
            std=(torch.stack(squares).sum(0) / count).sqrt(),
        )

    @property
    def is_constant(self) -> Tensor:
        """(C,) bool."""
        return self.least == self.most


def audited_values(
    values: Tensor, label: str, size: str, noun: str, scales: Sequence[tuple[float, float]] = ()
) -> SpaceAudit:
    """Of values (S, …, C), whose size is told in words; `noun` is what a channel is called, `scales` are the means and
    deviations that channels have been standardised by."""
    found = ChannelFigures.of(values)
    spreads = {"mean": _spread(found.mean), "std": _spread(found.std)}
    figures = {"least": float(found.least.min()), "most": float(found.most.max())}
    for name, spread in spreads.items():
        figures |= {f"{name}.{key}": value for key, value in spread.items()}
    return SpaceAudit(
        figures=figures,
        lines=(
            (label, size + (f" · each {noun} standardised by what trains" if scales else "")),
            ("values", f"{figures['least']:.4g} … {figures['most']:.4g}"),
            *((f"{name} per {noun}", _text(spread)) for name, spread in spreads.items()),
        ),
        findings=(*_constant(found, noun, scales), *scale_findings(found, noun)),
    )


def _constant(found: ChannelFigures, noun: str, scales: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    constant = found.is_constant.nonzero().flatten().tolist()
    if constant:
        mean, std = scales[constant[0]] if scales else (0.0, 1.0)
        value = float(found.least[constant[0]]) * std + mean
        yield Finding(
            name=f"constant {noun}s",
            severity="warning",
            message=f"{len(constant)} of {len(found.mean)} {noun}s "
            + (f"never change: {_listed(constant)}; " if len(constant) > 1 else "never changes: ")
            + f"{noun} {constant[0]} is always {value:.4g}.",
            evidence={"constant": len(constant), "of": len(found.mean), "first": constant[0]},
            advice="Leave them out of the data: they say nothing of what comes next.",
        )


def scale_findings(found: ChannelFigures, noun: str) -> Iterator[Finding]:
    """What standardising mends; `noun` is what a channel is called."""
    moving = (~found.is_constant).nonzero().flatten()
    stds = found.std[moving]
    yield from _beyond_squares(found, stds, noun)
    if len(moving) and float(stds.max()) > MUCH_LARGER * float(stds.min()):
        small, large = int(moving[stds.argmin()]), int(moving[stds.argmax()])
        yield Finding(
            name=f"unequal {noun}s",
            severity="warning",
            message=f"The {noun}s are of very different scales: {noun} {large} has a standard deviation of "
            f"{float(stds.max()):.3g}, {noun} {small} of {float(stds.min()):.3g}.",
            evidence={"largest_std": float(stds.max()), "smallest_std": float(stds.min())},
            advice=f"Standardise the data, each {noun} by its mean and standard deviation in training: the small ones "
            "hardly count otherwise.",
            set=_STANDARDISED,
        )
    elif len(moving) and not SMALL <= float(stds.max()) <= LARGE:
        is_small = float(stds.max()) < SMALL
        yield Finding(
            name=f"{'small' if is_small else 'large'} {noun}s",
            severity="warning",
            message=f"The {noun}s vary {'little' if is_small else 'much'}: the largest standard deviation is "
            f"{float(stds.max()):.3g}.",
            evidence={"largest_std": float(stds.max())},
            advice=f"Standardise the data, each {noun} by its mean and standard deviation in training: "
            + (
                "what hardly differs is hard to tell apart, and embeddings may all become one."
                if is_small
                else "a new network takes long to learn from large numbers."
            ),
            set=_STANDARDISED,
        )
    far = moving[found.mean[moving].abs() > FAR_FROM_ZERO * stds]
    if len(far):
        first = int(far[(found.mean[far].abs() / found.std[far]).argmax()])
        yield Finding(
            name=f"{noun}s far from zero",
            severity="warning",
            message=f"{len(far)} of {len(found.mean)} {noun}s {'varies' if len(far) == 1 else 'vary'} little beside "
            f"{'its' if len(far) == 1 else 'their'} mean: {noun} {first} is "
            f"{float(found.mean[first]):.4g} on average, with a standard deviation of {float(found.std[first]):.3g}.",
            evidence={"far": len(far), "of": len(found.mean), "first": first},
            advice=f"Standardise the data, each {noun} by its mean and standard deviation in training: what hardly "
            "differs is hard to tell apart, and embeddings may all become one.",
            set=_STANDARDISED,
        )


def _beyond_squares(found: ChannelFigures, stds: Tensor, noun: str) -> Iterator[Finding]:
    """Values whose squares, which training takes of all, are infinite or zero in float32."""
    largest = max(float(found.most.abs().max()), float(found.least.abs().max()))
    is_huge = largest > SQUARES
    if not is_huge and (not len(stds) or float(stds.max()) > 1 / SQUARES):
        return
    told = f"Values are as large as {largest:.3g}" if is_huge else f"Values vary by {float(stds.max()):.3g} at most"
    yield Finding(
        name="squares",
        severity="critical",
        message=f"{told}: their squares are {'infinite' if is_huge else 'zero'} in float32, which training counts in.",
        evidence={"largest": largest},
        advice=f"Standardise the data, each {noun} by its mean and standard deviation in training.",
        set=_STANDARDISED,
    )


def _spread(values: Tensor) -> dict[str, float]:
    return {"minimum": float(values.min()), "median": float(values.quantile(0.5)), "maximum": float(values.max())}


def _text(spread: dict[str, float]) -> str:
    return " · ".join(f"{value:.4g}" for value in spread.values()) + " (least, median, most)"


def _listed(numbers: list[int]) -> str:
    named = ", ".join(map(str, numbers[:_NAMED_CHANNELS]))
    return named + (", …" if len(numbers) > _NAMED_CHANNELS else "")
