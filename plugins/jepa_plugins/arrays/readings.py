"""What an array's shape may mean: sequences, one recording or several, of images, series or vectors.

Told by the recipe, or inferred from the shape and type alone; a header is enough. Words about it are not here.
Shapes: S sequences of T + 1 observations, R recordings of E steps, images of C channels, H × W, series of L steps and C
channels, vectors of D numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs
from torch import Tensor

from jepa_plugins.arrays.files import Header

ObservedAs = Literal["images", "series", "vectors"]
Holds = Literal["sequences", "recording", "recordings"]

_MOST_PLACES = 16
"""Context and target of ready sequences, as far as a shape lets us guess."""

_MOST_CHANNELS = 32
"""Of series, likewise: more numbers at a moment are rather a vector."""

_PICTURE_CHANNELS = (1, 3, 4)


@attrs.frozen(kw_only=True)
class Reading:
    """One meaning of a shape."""

    observed_as: ObservedAs
    holds: Holds
    dims: tuple[str, ...]
    """What each dimension counts."""
    is_likely: Callable[[Header], bool] = attrs.field(default=lambda _: True, eq=False)
    """Whether a header of so many dimensions looks like it, where the recipe does not say."""

    def text(self) -> str:
        """In words."""
        held = {"sequences": "ready sequences", "recording": "one recording", "recordings": "several recordings"}
        return f"{self.observed_as}, {held[self.holds]} ({', '.join(self.dims)})"

    def has_fewest_channels(self, header: Header) -> bool:
        """Whether the dimension taken for the channels of images looks like it, for other numbers of them than
        pictures have: fewer than rows and columns, or else than these where both are as many."""
        sizes = dict(zip(self.dims, header.shape, strict=True))
        if "C" not in sizes or self.observed_as != "images":
            return True
        channels, height, width = (sizes[name] for name in ("C", "H", "W"))
        return channels < min(height, width) or height == width != channels

    def arranged(self, observed: Tensor) -> Tensor:
        """A view with the dimensions of rows first: (S, T+1, …) or (R, E, …), R = 1 for one recording; images as
        (…, C, H, W)."""
        if self.dims == ("time",):
            observed = observed.unsqueeze(1)
        if self.holds == "recording":
            observed = observed.unsqueeze(0)
        if self.observed_as != "images":
            return observed
        if "C" not in self.dims:
            return observed.unsqueeze(2)
        return observed.movedim(-1, 2) if self.dims[-1] == "C" else observed


def possible_readings(
    header: Header, observed_as: ObservedAs | None = None, holds: Holds | None = None
) -> list[Reading]:
    """Those of as many dimensions that agree with what the recipe says, the likelier first."""
    return [
        reading
        for reading in READINGS
        if len(reading.dims) == len(header.shape)
        and observed_as in (None, reading.observed_as)
        and holds in (None, reading.holds)
    ]


def likeliest(header: Header, observed_as: ObservedAs | None, holds: Holds | None) -> Reading | None:
    """The reading that a header most looks like; None where it looks like none, or channels cannot be found."""
    possible = possible_readings(header, observed_as, holds)
    chosen = next((reading for reading in possible if reading.is_likely(header)), None)
    if chosen is None and observed_as == "images":
        # Bytes tell pictures from other numbers, which the recipe has done already.
        chosen = next((r for r in possible if r.is_likely(attrs.evolve(header, dtype="uint8"))), None)
    told = observed_as is not None and holds is not None
    if chosen is None and possible and (told or len(possible) == 1):
        fitting = possible if len(possible) == 1 else [r for r in possible if r.has_fewest_channels(header)]
        chosen = fitting[0] if len({reading.dims for reading in fitting}) == 1 else None
    return chosen


def _is_bytes(header: Header) -> bool:
    return header.dtype == "uint8"


def _has_few_places(header: Header) -> bool:
    return 2 <= header.shape[1] <= _MOST_PLACES


def _has_few_channels(header: Header) -> bool:
    return not _is_bytes(header) and header.shape[-1] <= _MOST_CHANNELS


def _is_picture(dim: int) -> Callable[[Header], bool]:
    return lambda header: header.shape[dim] in _PICTURE_CHANNELS


def _both(*conditions: Callable[[Header], bool]) -> Callable[[Header], bool]:
    return lambda header: all(condition(header) for condition in conditions)


def _is_of_few_series(header: Header) -> bool:
    """Ready series rather than frames, which are wide and high."""
    return _has_few_places(header) and _has_few_channels(header) and not _is_frames_first(header)


def _is_frames_first(header: Header) -> bool:
    """(E, C, H, W): a picture's number of channels, then about as much height as width."""
    _, channels, height, width = header.shape
    return channels in _PICTURE_CHANNELS and min(height, width) > 4 and max(height, width) <= 2 * min(height, width)


def _reading(
    observed_as: ObservedAs, holds: Holds, dims: str, is_likely: Callable[[Header], bool] = lambda _: True
) -> Reading:
    return Reading(observed_as=observed_as, holds=holds, dims=tuple(dims.split()), is_likely=is_likely)


READINGS = (
    _reading("series", "recording", "time"),
    _reading("series", "recording", "time C", _has_few_channels),
    _reading("vectors", "recording", "time D"),
    _reading("images", "recording", "time H W", _is_bytes),
    _reading("vectors", "sequences", "S T+1 D", _has_few_places),
    _reading("series", "recordings", "R time C", _has_few_channels),
    _reading("vectors", "recordings", "R time D"),
    _reading("images", "recording", "time H W C", _both(_is_bytes, _is_picture(-1))),
    _reading("images", "recording", "time C H W", _both(_is_bytes, _is_picture(1))),
    _reading("images", "recordings", "R time H W", _is_bytes),
    _reading("images", "sequences", "S T+1 H W", _is_bytes),
    _reading("series", "sequences", "S T+1 L C", _is_of_few_series),
    _reading("images", "recording", "time C H W", _is_frames_first),
    _reading("images", "recording", "time H W C", _is_picture(-1)),
    _reading("images", "sequences", "S T+1 C H W", _both(_has_few_places, _is_picture(2))),
    _reading("images", "sequences", "S T+1 H W C", _both(_has_few_places, _is_picture(-1))),
    _reading("images", "recordings", "R time H W C", _is_picture(-1)),
    _reading("images", "recordings", "R time C H W", _is_picture(2)),
)
"""In the order in which they are tried, the likelier first."""
