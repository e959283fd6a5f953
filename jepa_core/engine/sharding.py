"""Parameters, gradients and moments shared out over ranks: PyTorch's FSDP2 (Zhao et al., arXiv 2304.11277).

Each rank keeps a slice of every sharded parameter, and a module has them whole while it computes. What is per element
(the optimizer, moving averages) works on slices, `local`; what one rank does by itself stands within `whole`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from jepa_core.contracts import Crew, Observations, OffersViews
from jepa_core.engine.network import Parts
from jepa_core.engine.objective import Objective, Outcome
from jepa_core.engine.slices import is_sharded
from jepa_core.recipes.tables import Train


class Shards:
    """The modules of a run whose parameters are shared out."""

    def __init__(self, parts: Parts, crew: Crew, device: torch.device) -> None:
        """Share them out: those of the parts that the optimizer moves, and of their averages, each on its own."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

        online, target = parts.online, parts.target
        found: list[nn.Module] = [online.encoder, online.aggregator, online.predictor, online.projector]
        found += [target.encoder, target.projector]
        mesh = init_device_mesh(device.type, (crew.size,))
        self._modules: list[FSDPModule] = []
        for module in found:
            if any(True for _ in module.parameters()):
                fully_shard(module, mesh=mesh, reshard_after_forward=True)
                if isinstance(module, OffersViews):
                    register_fsdp_forward_method(module, "embed")
                assert isinstance(module, FSDPModule)
                self._modules.append(module)

    @staticmethod
    def of(train: Train, parts: Parts, crew: Crew, device: torch.device) -> Shards | None:
        """What a recipe's ranks share out; None where each has everything."""
        return Shards(parts, crew, device) if train.parallel == "fsdp" and crew.size > 1 else None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within it every rank has all parameters whole, and a module's computation is no meeting. All ranks enter."""
        for module in self._modules:
            module.unshard()
            self._set(module, keeps_whole=True)
        try:
            yield
        finally:
            for module in self._modules:
                self._set(module, keeps_whole=False)
                module.reshard()

    @contextmanager
    def keeping_gradients(self) -> Iterator[None]:
        """Within it gradients are kept to this rank."""
        for module in self._modules:
            module.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            for module in self._modules:
                module.set_requires_gradient_sync(True)

    @staticmethod
    def _set(module: Any, *, keeps_whole: bool) -> None:
        module.set_reshard_after_forward(not keeps_whole)
        module.set_reshard_after_backward(not keeps_whole)
        module.set_requires_gradient_sync(not keeps_whole)


class ShardedObjective(nn.Module):
    """An objective over sharded modules, whose gradients are summed and cut as they are found."""

    def __init__(self, objective: Objective, shards: Shards) -> None:
        super().__init__()
        self.objective = objective
        self._shards = shards

    def forward(self, batch: Observations, views: Mapping[str, Observations]) -> Outcome:
        """This rank's part of the micro-batch and of its views."""
        outcome: Outcome = self.objective(batch, views)
        return outcome

    @contextmanager
    def waiting(self, *, is_last: bool) -> Iterator[None]:
        """Within it gradients are kept to this rank, unless the micro-batch is the last of its step."""
        if is_last:
            yield
            return
        with self._shards.keeping_gradients():
            yield


def averaged(parameters: Sequence[nn.Parameter], crew: Crew) -> None:
    """Average the gradients of parameters that every rank has whole: those of losses, a handful of numbers."""
    for parameter in parameters:
        if parameter.grad is not None and not is_sharded(parameter):
            parameter.grad.copy_(crew.mean(parameter.grad))
