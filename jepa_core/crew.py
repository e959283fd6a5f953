"""The processes that train one model together, and what they tell each other, beside gradients. Alone: the identity.

Gradients are PyTorch's own business (`engine/parallel.py`). All else that ranks have to agree on goes through a `Crew`:
what one large batch would have given, each rank having its equal share of the sequences, in the order of ranks.

Every method is a meeting: all ranks call it, in the same order, with tensors of the same shapes. What only one rank
calls waits for the others until the process group gives up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from jepa_core.statistics import Statistics


class Crew:
    """Rank `rank` of `size` processes, which share a batch while a training step is taken."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self.leads = rank == 0
        """Whether this is rank 0, which writes the run directory."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it this process is a crew of one: for what only one rank does, or each for itself."""
        here = self.rank, self.size
        self.rank, self.size = 0, 1
        try:
            yield
        finally:
            self.rank, self.size = here

    def mine(self, num_rows: int) -> slice:
        """This rank's of the rows that all have together."""
        each = num_rows // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gathered(self, rows: Tensor) -> Tensor:
        """(B, …) of every rank as (R · B, …), with gradient: that of a loss which every rank takes of the whole.

        Averaged over ranks, as parameters' gradients are, it is the gradient that one process would have found.
        """
        if self.size == 1:
            return rows
        result: Tensor = _Gathered.apply(rows, self.rank, self.size)  # type: ignore[no-untyped-call]
        return result

    def gather(self, rows: Tensor) -> Tensor:
        """(B, …) of every rank as (R · B, …), in the order of ranks, without gradient."""
        return rows.detach() if self.size == 1 else _all_rows(rows.detach(), self.size)

    def others(self, rows: Tensor) -> Tensor:
        """(B, …) of every rank but this one as ((R − 1) · B, …), without gradient."""
        everyone, num_rows = self.gather(rows), len(rows)
        return torch.cat([everyone[: self.rank * num_rows], everyone[(self.rank + 1) * num_rows :]])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, with gradient: that of a loss which every rank takes of the mean."""
        if self.size == 1:
            return values
        result: Tensor = _Mean.apply(values, self.size)  # type: ignore[no-untyped-call]
        return result

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks, without gradient."""
        if self.size == 1:
            return values.detach()
        summed = values.detach().clone()
        dist.all_reduce(summed)
        return summed

    def share(self, summed: Tensor, count: Tensor) -> Tensor:
        """Scalar: this rank's part of Σ `summed` / Σ `count` over all ranks, for a mean over what ranks have unequal
        numbers of. The mean over ranks of it is that quotient; 0, with a gradient of zero, where nothing is counted."""
        return summed * self.size / self.total(count).clamp(min=1)

    def shared(self, drawn: Tensor) -> Tensor:
        """What rank 0 has, for a number that all are to draw alike."""
        if self.size == 1:
            return drawn
        drawn = drawn.contiguous()
        dist.broadcast(drawn, 0)
        return drawn

    def agree(self, words: Sequence[int]) -> list[int]:
        """The largest of each of some numbers, on the host, without waiting for a device."""
        if self.size == 1:
            return list(words)
        largest = torch.tensor(list(words), dtype=torch.int64)
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
        return [int(word) for word in largest]

    def told(self, message: Any = None) -> Any:
        """What rank 0 says: any plain data, such as a path; through the host."""
        if self.size == 1:
            return message
        box = [message if self.leads else None]
        dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
        return box[0]

    def heard(self, message: Any) -> list[Any]:
        """What every rank says, in their order: any plain data, through the host."""
        if self.size == 1:
            return [message]
        said = [None] * self.size
        dist.all_gather_object(said, message)
        return said

    def merged(self, parts: Sequence[Statistics]) -> Statistics:
        """The statistics of some micro-batches, as one process would have merged them.

        Every rank has as many rows of a name.
        """
        if self.size == 1:
            return Statistics.merge(parts)
        mine = Statistics(
            sums=Statistics.merge(parts).sums,
            rows={name: torch.stack([part.rows[name] for part in parts]) for name in parts[0].rows},
        )
        return Statistics(
            sums={name: self.total(summed) for name, summed in mine.sums.items()},
            # By micro-batch, and within one by rank.
            rows={
                name: self.gather(rows).unflatten(0, (self.size, len(parts))).transpose(0, 1).flatten(0, 2)
                for name, rows in mine.rows.items()
            },
        )

    def meet(self) -> None:
        """Wait until all are here."""
        self.agree([0])


ALONE = Crew()

# torch 2.13 gave it another name.
_gather_into = dist.all_gather_single if hasattr(dist, "all_gather_single") else dist.all_gather_into_tensor


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, size: int) -> Tensor:
        ctx.place = slice(rank * len(rows), (rank + 1) * len(rows))
        return _all_rows(rows, size)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # Not reduce_scatter, which gloo does not have for every type.
        summed = grad.contiguous().clone()
        dist.all_reduce(summed)
        return summed[ctx.place], None, None


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, size: int) -> Tensor:
        ctx.size = size
        summed = values.clone()
        dist.all_reduce(summed)
        return summed / size

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        summed = grad.contiguous().clone()
        dist.all_reduce(summed)
        return summed / ctx.size, None


def _all_rows(rows: Tensor, size: int) -> Tensor:
    rows = rows.contiguous()
    # A bool has no sum or copy in every backend.
    sent = rows.view(torch.uint8) if rows.dtype == torch.bool else rows
    everyone = sent.new_empty((size * len(sent), *sent.shape[1:]))
    _gather_into(everyone, sent)
    return everyone.view(rows.dtype)
