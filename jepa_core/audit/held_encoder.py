"""An encoder that gives again what it gave in the unchanged run, so that a trial costs only what comes after it.

A trial differs from the unchanged run if and only if, at some step, something behind the encoder or the gradient that
reaches the encoder's output differs; so the encoder need not run again to tell whether anything changes. How much
changes is then an estimate: the encoder does not answer. Knows nothing of what is tried.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import Embeddings, Observations, OffersViews, Reading, ReadingTransform
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.network import OnlineNetwork, TargetNetwork

Side = Literal["online", "target"]


@attrs.frozen
class _Encoded:
    given: Mapping[str, Tensor]
    embeddings: Embeddings


@attrs.define
class Memory:
    """What the encoders of the unchanged run gave, by side and step, and the online weights after each step."""

    encoder: nn.Module
    """With the weights of the start; nobody changes it."""
    shape: DataShape
    """Of the data."""
    step: int = 0
    """The step that is taken now."""
    recording: bool = True
    encoded: dict[tuple[Side, int], _Encoded] = attrs.field(factory=dict)
    weights: dict[int, Mapping[str, Tensor]] = attrs.field(factory=dict)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Memory:
        """The target network is a deep copy of the online one: both look into one memory."""
        return self

    def keep(self, side: Side, given: Mapping[str, Tensor], embeddings: Embeddings) -> None:
        """Remember what the encoder of a side gives at this step."""
        values = replace(embeddings, values=embeddings.values.detach().clone())
        self.encoded[side, self.step] = _Encoded({name: tensor.clone() for name, tensor in given.items()}, values)

    def find(self, side: Side, given: Mapping[str, Tensor]) -> Embeddings | None:
        """What it gave at this step; None for other observations or readings than the unchanged run's."""
        kept = self.encoded.get((side, self.step))
        if kept is None or kept.given.keys() != given.keys():
            return None
        return kept.embeddings if all(torch.equal(kept.given[name], given[name]) for name in given) else None


class HeldEncoder(nn.Module):
    """Stands in for an encoder, without its dropout: copies of an observation shall stay copies."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory
        self.own: nn.Module | None = None
        """An encoder with weights that move; without it there are none to train or to follow."""
        self.side: Side = "online"
        self.by_memory = True
        self.leaf: Tensor | None = None
        """The newest output, where the gradient of a trial ends."""

    @property
    def encoder(self) -> nn.Module:
        """What computes when memory does not serve."""
        return self.memory.encoder if self.own is None else self.own

    @property
    def embedding_dim(self) -> int:
        """The encoder's own."""
        return int(self.encoder.embedding_dim)  # type: ignore[arg-type]  # of a module

    @property
    def num_tokens(self) -> int:
        """The encoder's own."""
        return int(self.encoder.num_tokens)  # type: ignore[arg-type]  # of a module

    def take_weights(self) -> None:
        """Have an encoder of its own, as it is at the start."""
        self.own = copy.deepcopy(self.memory.encoder)

    def train(self, mode: bool = True) -> HeldEncoder:  # noqa: ARG002  # it stays in evaluation mode
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, observations: Observations) -> Embeddings:
        """Observations (M, …) to tokens (M, N, D)."""
        return self._encode(observations.tensors, lambda: self.encoder(observations))

    def read(self, observations: Observations) -> Reading:
        """What the encoder reads off observations, which no training changes."""
        return self._offering.read(observations)

    def embed(self, reading: Reading) -> Embeddings:
        """A reading of M observations to tokens (M, N, D)."""
        return self._encode(reading, lambda: self._offering.embed(reading))

    def reading_views(self) -> Mapping[str, ReadingTransform]:
        """The encoder's own; none when it offers none."""
        return self.encoder.reading_views() if isinstance(self.encoder, OffersViews) else {}

    @property
    def _offering(self) -> OffersViews:
        assert isinstance(self.encoder, OffersViews)
        return self.encoder

    def _encode(self, given: Mapping[str, Tensor], encode: Callable[[], Embeddings]) -> Embeddings:
        """What the encoder makes of `given`, by memory where that serves."""
        if self.memory.recording and self.own is not None:
            embeddings = encode()
            self.memory.keep(self.side, given, embeddings)
            self.leaf = embeddings.values
            if self.leaf.requires_grad:
                self.leaf.retain_grad()
            return embeddings
        by_memory = self.by_memory and not self.memory.recording
        held = self.memory.find(self.side, given) if by_memory else None
        if held is None:
            with torch.no_grad():
                held = encode()
        assert held is not None
        if self.memory.recording:
            self.memory.keep(self.side, given, held)
        if not torch.is_grad_enabled():
            return held
        self.leaf = held.values.detach().requires_grad_()
        return replace(held, values=self.leaf)


class TriedTarget(TargetNetwork):
    """The target network of a trial."""

    def __init__(self, online: OnlineNetwork, *, frozen: bool, by_memory: bool) -> None:
        super().__init__(online)
        self.frozen = frozen
        encoder = self.encoder
        assert isinstance(encoder, HeldEncoder)
        encoder.side, encoder.by_memory = "target", by_memory and not frozen

    def follow(self, online: OnlineNetwork, decay: float | Tensor, accept: Tensor) -> None:
        """Follow the unchanged run's online encoder, unless frozen."""
        encoder = online.encoder
        assert isinstance(encoder, HeldEncoder)
        memory = encoder.memory
        if self.frozen:
            return
        if encoder.own is not None and not memory.recording:
            encoder.own.load_state_dict(memory.weights[memory.step])
        super().follow(online, decay, accept)


def remember_weights(encoder: HeldEncoder) -> None:
    """Keep the online encoder's weights as they are after this step."""
    encoder.memory.weights[encoder.memory.step] = copy.deepcopy(encoder.encoder.state_dict())
