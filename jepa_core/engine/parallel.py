"""How ranks find each other, and how their gradients are averaged: PyTorch's `DistributedDataParallel`.

Li et al., "PyTorch Distributed", VLDB 2020: gradients are summed in buckets while the way back goes on. Everything else
that ranks agree on is a `Crew`'s affair.
"""

from __future__ import annotations

import atexit
import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from jepa_core.contracts import ALONE, Crew, Observations, Statistics
from jepa_core.engine.objective import Objective, StepOutcome
from jepa_core.errors import DeviceError, JepaError
from jepa_core.launching import is_rank, require_shares
from jepa_core.recipes.tables import Train

# torch 2.13 gave it another name. State outside the gradient follows merged statistics, and is the same on every rank.
_HAS_NEW_NAME = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
_BUFFERS_ARE_OURS: dict[str, Any] = {"forward_sync_buffers" if _HAS_NEW_NAME else "broadcast_buffers": False}

PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others: rank 0 alone ranks what learns nothing, audits and validates."""


TO_JOIN = timedelta(minutes=5)
"""How long ranks may take to find each other. Where torchrun has started them again they may look for those that are
gone, whose addresses its store still has (pytorch#135712), and torchrun can start them once more."""


class RankLostError(JepaError):
    """Another rank has died, or does not answer."""


def device_of_rank(device: str) -> str:
    """What `--device` means to this rank: each has a GPU of its own, unless it is the CPU that they share.

    Raises:
        DeviceError: all ranks were given one GPU.
    """
    if not is_rank() or device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return device
    if device not in {"auto", "cuda"}:
        raise DeviceError(f"--device {device} is one device, and there are several ranks. Use --device cuda, or cpu.")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= torch.cuda.device_count():
        raise DeviceError(
            f"Rank {os.environ['RANK']} is number {local} on this machine, which has {torch.cuda.device_count()} CUDA "
            "devices, counted from 0. Start no more ranks than there are, or use --device cpu."
        )
    return f"cuda:{local}"


def joined_crew(device: torch.device) -> Crew:
    """The ranks that were started together; a crew of one where this process is no rank.

    They stay together for as long as the process lives: a run that goes on after a rollback is theirs, too.
    """
    if not is_rank():
        return ALONE
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TO_JOIN)
        dist.distributed_c10d._set_pg_timeout(PATIENCE)
        atexit.register(_part)
    return Crew(dist.get_rank(), dist.get_world_size())


def _part() -> None:
    """Leave the others in order; where one is gone already, there is nobody to wait for."""
    if dist.is_initialized() and not _LOST:
        dist.destroy_process_group()


_LOST: list[RankLostError] = []
"""What kept this process from its meetings."""


@contextmanager
def losses_told(crew: Crew, run: str) -> Iterator[None]:
    """While entered, a meeting that fails says so in a sentence, and how to go on.

    Raises:
        RankLostError: a meeting failed, as another rank is gone.
    """
    rank, size = crew.rank, crew.size
    try:
        yield
    except RuntimeError as error:
        if not _is_of_a_meeting(error):
            raise
        lost = RankLostError(
            f"Rank {rank} of {size} lost the others: one has ended, or does not answer. What it said, if anything, is "
            f"the cause. What else is known, and how to go on: jepa autopsy {run}"
        )
        _LOST.append(lost)
        raise lost from error


def _is_of_a_meeting(error: RuntimeError) -> bool:
    """Whether it comes from the process group."""
    if isinstance(error, dist.DistError):
        return True
    told = str(error)
    return any(name in told for name in ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer"))


def require_equal_shares(train: Train, crew: Crew) -> None:
    """Refuse a batch that ranks cannot share.

    Raises:
        RecipeError: `train.batch_size` is no multiple of the number of ranks.
    """
    require_shares(train.batch_size, crew.size)


class SharedObjective(nn.Module):
    """An objective whose gradients are averaged over ranks as they are found.

    It gives nothing with a gradient but the total: parameters that only other outputs depend on would be waited for.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.engine = DistributedDataParallel(
            _ForStep(objective),
            # A loss of weight 0, or a projector that no loss looks at, has no gradient.
            find_unused_parameters=True,
            **_BUFFERS_ARE_OURS,
        )

    def forward(self, batch: Observations, views: Mapping[str, Observations]) -> StepOutcome:
        """This rank's part of the micro-batch and of its views."""
        total, figures, statistics = self.engine(batch, views)
        return StepOutcome(total=total, figures=figures, statistics=statistics)

    def waiting(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Within it gradients are kept to this rank, unless the micro-batch is the last of its step."""
        held: AbstractContextManager[None] = nullcontext() if is_last else self.engine.no_sync()
        return held


class _ForStep(nn.Module):
    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(
        self, batch: Observations, views: Mapping[str, Observations]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Statistics]]:
        outcome = self.objective(batch, views)
        return outcome.total, dict(outcome.figures), dict(outcome.statistics)
