"""Stages of a training step as CUDA graphs: launched kernel by kernel at first, then captured and replayed whole.

A graph repeats the kernels of the step that was captured, on the same memory. That is right where a stage decides
nothing on the host: whoever waits for the device in a stage cannot be captured, and whoever draws there, or keeps what
lasts in new memory, would see its draw or memory repeated for ever. So the first captured step is taken both ways, from
the same weights and the same seeds, and counts only where both give the same.
"""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs
import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Observations

T = TypeVar("T")
Input = Observations | float | int

WARM_UP = 10
"""Steps before a capture: by then everything is there that is made in first steps."""
MOST_DIFFERENCE = 0.2
"""Between a replayed and a launched step, as a share of what the step changes; sums in another order give far less."""


ROUNDING = 1e-6
"""The same as a share of a tensor that the step does not change."""


class NotCapturableError(Exception):
    """Why a step is not replayed, in words."""


class Replay:
    """Runs a step's stages, and replays them once `start` has shown that they can be."""

    def __init__(self, device: torch.device) -> None:
        self.is_on = False
        self._device = device
        self._graphs: dict[str, _Graph[Any]] = {}
        self._pool: Any = None
        self._is_watched = self._draws_on_host = False

    def run(self, name: str, stage: Callable[..., T], *inputs: Input) -> T:
        """What the stage returns; tensors of a replayed one are overwritten by its next replay.

        Args:
            name: of the stage, the same in every step.
            stage: takes `inputs`, and reads and writes memory that stays where it is between steps.
            inputs: what differs between steps; on a GPU a number comes as a scalar tensor.
        """
        if self.is_on:
            if name not in self._graphs:
                mine = [_own(given, self._device) for given in inputs]
                self._graphs[name] = _Graph.of(stage, mine, self._pool)
            graph: _Graph[T] = self._graphs[name]
            return graph.replay(inputs)
        given = [_on_device(each, self._device) for each in inputs] if self._device.type == "cuda" else inputs
        if not self._is_watched:
            return stage(*given)
        before = _host_generators()
        output = stage(*given)
        self._draws_on_host |= before != _host_generators()
        return output

    def start(self, step: Callable[[], T], memory: Callable[[], Mapping[str, Tensor]]) -> T:
        """Take a step and replay from then on.

        Args:
            step: takes one step by way of `run`; the same step whenever it is called from the same memory.
            memory: all tensors that a step writes for the next, by name.

        Raises:
            NotCapturableError: the step is not taken, and steps are to be launched as before.
        """
        before, places = _copies(memory()), _places(memory())
        self._is_watched, self._draws_on_host = True, False
        step()
        self._is_watched = False
        launched, moved = _copies(memory()), places.items() ^ _places(memory()).items()
        _write(memory(), before)
        if self._draws_on_host:
            raise NotCapturableError("something in it draws random numbers on the host")
        if moved:
            raise NotCapturableError(f"{min(name for name, _ in moved)} is put into new memory by every step")
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        untouched = generator.clone_state()
        torch.cuda.empty_cache()
        self._pool, self.is_on = torch.cuda.graph_pool_handle(), True
        try:
            output = step()
            _require_same(before, launched, memory())
        except Exception as error:
            self.stop()
            # A capture that broke off leaves the generator waiting for its end.
            generator.graphsafe_set_state(untouched)
            _write(memory(), before)
            if isinstance(error, NotCapturableError):
                raise
            raise NotCapturableError(_told(error)) from error
        return output

    def stop(self) -> None:
        """Launch from now on, and give the graphs' memory back."""
        self.is_on = False
        self._graphs.clear()
        self._pool = None


@attrs.frozen
class _Graph(Generic[T]):
    """A captured stage."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Observations | Tensor]
    output: T

    @classmethod
    def of(cls, stage: Callable[..., T], inputs: list[Observations | Tensor], pool: Any) -> _Graph[T]:
        graph = torch.cuda.CUDAGraph()
        # Another thread may be gathering the next batch: what it asks of the device is none of the capture's business.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            output = stage(*inputs)
        return cls(graph, inputs, output)

    def replay(self, inputs: Sequence[Input]) -> T:
        for mine, given in zip(self.inputs, inputs, strict=True):
            if isinstance(mine, Tensor):
                assert not isinstance(given, Observations)
                mine.fill_(given)
            else:
                assert isinstance(given, Observations)
                for name, tensor in given.tensors.items():
                    mine[name].copy_(tensor)
        self.graph.replay()
        return self.output


def _told(error: Exception) -> str:
    """What was refused, and where outside torch it was asked for."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}torch{os.sep}" not in f.filename]
    first_line = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}: {first_line}"


def _on_device(given: Input, device: torch.device) -> Observations | Tensor:
    """A number as a scalar tensor, filled in without waiting for the device."""
    if isinstance(given, Observations):
        return given
    return torch.full((), given, dtype=torch.int64 if isinstance(given, int) else torch.float32, device=device)


def _own(given: Input, device: torch.device) -> Observations | Tensor:
    """Memory of a graph's own for an input."""
    return given.map(torch.clone) if isinstance(given, Observations) else _on_device(given, device)


def _host_generators() -> tuple[object, ...]:
    """What draws on the host change."""
    numpy = np.random.get_state(legacy=False)["state"]
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy["key"].tobytes(), numpy["pos"]


def _copies(memory: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in memory.items()}


def _places(memory: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: tensor.data_ptr() for name, tensor in memory.items()}


@torch.no_grad()
def _write(memory: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in memory.items():
        tensor.copy_(values[name])


def _require_same(before: Mapping[str, Tensor], launched: Mapping[str, Tensor], replayed: Mapping[str, Tensor]) -> None:
    """
    Raises:
        NotCapturableError: a tensor is another one after the replayed step than after the launched.
    """
    for name, expected in launched.items():
        change = (expected.double() - before[name].double()).norm()
        difference = (replayed[name].double() - expected.double()).norm()
        if not difference <= MOST_DIFFERENCE * change + ROUNDING * expected.double().norm():
            share = float(difference / change) if change else float("inf")
            raise NotCapturableError(f"replayed, it changes {name} otherwise (by {share:.2g} of what the step changes)")
