"""Generated recordings of six kinds, cut into windows: what comes next follows from the windows before.

Oscillations move on by some part of a cycle from window to window, never by nearly whole ones, so that the target is
no copy of its context; frequency, phase and level are a recording's own, and shared by all its windows.

Shapes: R recordings, E steps of each, C channels, W windows of L steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Space
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit, fingerprint
from jepa_plugins.series.space import SeriesSpace

_LEAST_PART, _MOST_CYCLES = 0.15, 4
"""A cycle moves on by this part of itself in a window, at least; and there are fewer than so many in a window."""


@attrs.frozen(kw_only=True)
class SeriesDemoConfig:
    """Generated recordings of six kinds, such as sine mixtures, chirps and drifting walks, cut into windows."""

    kind: ClassVar[str] = "series_demo"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    space: ClassVar[type[Space]] = SeriesSpace

    num_recordings: int = setting("recordings, each a task", default=1000, at_least=2)
    windows: int = setting("windows of a recording; more than context_length", default=8, at_least=2)
    length: int = setting("steps of a window", default=32, at_least=4, unit="steps")
    channels: int = setting("channels of a recording", default=2, at_least=1)
    context_length: int = setting("context windows", default=3, at_least=1)
    noise: float = setting("standard deviation of what is added to every value", default=0.05, at_least=0)
    validation_share: float = setting("share of recordings that validate", default=0.1, above=0, below=1)
    seed: int = setting("decides recordings, noise and the split; the run's seed does not", default=0, at_least=0)

    def __attrs_post_init__(self) -> None:
        if self.windows <= self.context_length:
            raise ValueError(
                f"windows must be more than context_length {self.context_length}, for a target (got {self.windows})"
            )

    def num_bytes(self) -> int:
        """Of all sequences, float32."""
        windows = (self.windows - self.context_length) * (self.context_length + 1)
        return 4 * self.num_recordings * windows * self.length * self.channels

    def build(self, facts: DatasetFacts) -> SequenceDataset:  # noqa: ARG002  # the same data under every run's seed
        """Sequences (S, T+1, L, C), the same for the same settings; of each recording windows − T of them."""
        generator = torch.Generator().manual_seed(self.seed)
        kinds = torch.randint(len(KINDS), (self.num_recordings,), generator=generator)
        recordings = self._recordings(kinds, generator)
        windows_RWLC = recordings.unflatten(1, (self.windows, self.length))
        per_recording = self.windows - self.context_length
        sequences = torch.stack(
            [windows_RWLC[:, first : first + self.context_length + 1] for first in range(per_recording)], 1
        )
        train, validation = TaskSplit(share=self.validation_share, seed=self.seed).apply(
            Observations({"values": sequences.flatten(0, 1)}),
            tasks=torch.arange(self.num_recordings).repeat_interleave(per_recording),
            labels={"kind": kinds.repeat_interleave(per_recording)},
        )
        return SequenceDataset(
            space=SeriesSpace(length=self.length, channels=self.channels),
            train=train,
            validation=validation,
            task_names=tuple(f"{number}: {list(KINDS)[kind]}" for number, kind in enumerate(kinds.tolist())),
            description=f"{self.num_recordings:,} generated recordings, "
            f"{self.num_recordings * per_recording:,} sequences",
            fingerprint=fingerprint(train, validation),
        )

    def _recordings(self, kinds: Tensor, generator: torch.Generator) -> Tensor:
        """(R, E, C) float32."""
        num_steps = self.windows * self.length
        recordings = torch.empty(len(kinds), num_steps, self.channels)
        for number, make in enumerate(KINDS.values()):
            rows = (kinds == number).nonzero().squeeze(1)
            draw = _Draw(len(rows), self.channels, num_steps, self.length, generator)
            recordings[rows] = make(draw)
        return recordings + self.noise * torch.randn(recordings.shape, generator=generator)


@attrs.frozen
class _Draw:
    """Random numbers for recordings of one kind."""

    num: int
    channels: int
    num_steps: int
    length: int
    generator: torch.Generator

    def between(self, low: float, high: float, *, per_channel: bool = True) -> Tensor:
        """(num, 1, C) or (num, 1, 1): uniform."""
        drawn = torch.rand(self.num, 1, self.channels if per_channel else 1, generator=self.generator)
        return low + (high - low) * drawn

    def steps(self) -> Tensor:
        """(E, 1): time, in windows."""
        return torch.arange(self.num_steps)[:, None] / self.length

    def frequency(self) -> Tensor:
        """(num, 1, 1): cycles in a window, never nearly whole ones; at most a quarter as many as steps."""
        most = max(1, min(_MOST_CYCLES, self.length // 4))
        whole = (self.between(0, most, per_channel=False)).floor()
        return whole + self.between(_LEAST_PART, 1 - _LEAST_PART, per_channel=False)

    def walk(self) -> Tensor:
        """(num, E, C): normal steps, added up."""
        return torch.randn(self.num, self.num_steps, self.channels, generator=self.generator).cumsum(1)


def _sines(draw: _Draw) -> Tensor:
    """Two sines of each channel, of frequencies that the channels share."""
    return sum(
        (draw.between(0.4, 1.0) * _wave(draw.frequency() * draw.steps() + draw.between(0, 1)) for _ in range(2)),
        start=torch.zeros(()),
    )


def _chirp(draw: _Draw) -> Tensor:
    """A sine whose frequency rises or falls by up to a third of a cycle from window to window, and never turns back."""
    time, whole = draw.steps(), draw.num_steps / draw.length
    rate = draw.between(-0.3, 0.3, per_channel=False)
    start = draw.frequency() + (-rate * whole).clamp(min=0)
    return draw.between(0.7, 1.3) * _wave(start * time + 0.5 * rate * time.square() + draw.between(0, 1))


def _sawtooth(draw: _Draw) -> Tensor:
    """A rise and a sudden fall in every cycle."""
    phase = draw.frequency() * draw.steps() + draw.between(0, 1)
    return draw.between(0.7, 1.3) * (2 * (phase - phase.floor()) - 1)


def _damped(draw: _Draw) -> Tensor:
    """An oscillation that dies down over the recording, about a level of its own."""
    half_life = draw.between(1.5, 6.0, per_channel=False)
    amplitude = draw.between(1.0, 2.0) * 0.5 ** (draw.steps() / half_life)
    return draw.between(-0.5, 0.5) + amplitude * _wave(draw.frequency() * draw.steps() + draw.between(0, 1))


def _walk(draw: _Draw) -> Tensor:
    """A random walk with a drift."""
    sign = draw.between(-1, 1).sign()
    return sign * draw.between(0.3, 0.8) * draw.steps() + 0.1 / math.sqrt(draw.length) * draw.walk()


def _coupled(draw: _Draw) -> Tensor:
    """Two coupled oscillators that hand their swing to each other and back; channels are one or the other, in turn."""
    time, fast = draw.steps(), draw.frequency()
    slow = fast - draw.between(0.05, 0.3, per_channel=False) * fast.clamp(max=1)
    first, second = (_wave(frequency * time + draw.between(0, 1, per_channel=False)) for frequency in (fast, slow))
    sign = 1 - 2 * (torch.arange(draw.channels) % 2)
    return draw.between(0.4, 0.7) * (first + sign * second)


def _wave(cycles: Tensor) -> Tensor:
    return (2 * math.pi * cycles).sin()


KINDS: dict[str, Callable[[_Draw], Tensor]] = {
    "sines": _sines,
    "chirp": _chirp,
    "sawtooth": _sawtooth,
    "damped": _damped,
    "walk": _walk,
    "coupled": _coupled,
}
"""The label `kind` counts them in this order."""
