"""What ranks decide together between two steps: that one was asked to stop or to save, and how rank 0 judges the run.

On the host, without waiting for a device. A process of its own decides at once.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Crew
from jepa_core.errors import JepaError


class DriftError(JepaError):
    """Ranks no longer have the same state."""


@attrs.frozen(kw_only=True)
class Word:
    """What all ranks do after a step."""

    stop_signal: signal.Signals | None = None
    taken_back: str | None = None
    """Why the run is to be rolled back."""
    saves: bool = False
    ends: bool = False
    """Whether a rule ends the run."""


def agreed(crew: Crew, seen: Word) -> Word:
    """What holds for all ranks, given what each has seen. A rollback comes before a stop."""
    if crew.size == 1:
        return seen
    words = [seen.stop_signal or 0, seen.taken_back is not None, seen.saves, seen.ends]
    stop, is_taken_back, saves, ends = crew.agree(words)
    return Word(
        stop_signal=signal.Signals(stop) if stop and not is_taken_back else None,
        taken_back=(seen.taken_back or "rank 0 takes the run back") if is_taken_back else None,
        saves=bool(saves),
        ends=bool(ends),
    )


def require_same(crew: Crew, memory: Mapping[str, Tensor], step: int) -> None:
    """Refuse to go on where ranks have drifted apart.

    Raises:
        DriftError: a tensor that all should have alike differs.
    """
    sums = checksums(memory)
    for rank, said in enumerate(crew.heard(sums)):
        names = sorted(name for name in sums if said[name] != sums[name])
        if names:
            raise DriftError(
                f"Ranks have drifted apart by step {step}: rank {rank} and rank {crew.rank} differ in {len(names)} of "
                f"{len(sums)} tensors, such as {names[0]}. A component draws or sums on each rank for itself: "
                "jepa plugins check tries it on two ranks. Go on from an earlier checkpoint."
            )


@torch.no_grad()
def checksums(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """A number for each tensor, which differs where any bit does but by a rare chance."""
    sums = []
    for tensor in tensors.values():
        flat = tensor.detach().contiguous().flatten()
        words = flat.view(torch.int32 if flat.element_size() == 4 else torch.uint8)
        places = torch.arange(1, len(words) + 1, device=words.device)
        # Odd factors, so that a change of one word always shows.
        sums.append((words.long() * ((places * 2_654_435_761 % 2**31) * 2 + 1)).sum())
    return dict(zip(tensors, torch.stack(sums).tolist() if sums else [], strict=True))
