"""Loading what fits of another recipe's state: tensors of the same name, shape and dtype; the others start anew.

A component's buffers belong together, such as a codebook and its counts: where one does not fit, all of them start
anew. One that is initialised from data starts anew as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs
from torch import Tensor, nn

from jepa_core.contracts import NeedsInitialisation
from jepa_core.engine.slices import sharded_as


@attrs.frozen(kw_only=True)
class StartedAnew:
    """What of one part did not come from the checkpoint."""

    part: str
    """Such as "aggregator", or a loss's name."""
    tensors: tuple[str, ...]
    """Of the part's own that keep their fresh values, by name within the part."""
    reason: str
    """Such as "other shape"."""
    unused: int
    """Tensors of the checkpoint that the part has no place for."""

    def describe(self) -> str:
        """In words, such as "2 tensors of aggregator start anew: other shape"."""
        if self.tensors:
            count = len(self.tensors)
            numbered = f"1 tensor of {self.part} starts" if count == 1 else f"{count} tensors of {self.part} start"
            return f"{numbered} anew: {self.reason}"
        return f"{self.part} has no use for {self.unused} tensor{'' if self.unused == 1 else 's'} of the checkpoint"


def load_fitting(module: nn.Module, state: Mapping[str, Tensor]) -> tuple[StartedAnew, ...]:
    """Load what fits into a module's parts, its direct children; what did not, part by part."""
    own_parts = dict(module.named_children())
    their_parts = dict.fromkeys(name.partition(".")[0] for name in state)
    found = []
    for name in (*own_parts, *(name for name in their_parts if name not in own_parts)):
        theirs = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        anew = _load_part(name, own_parts.get(name) or nn.Module(), theirs)
        if anew.tensors or anew.unused:
            found.append(anew)
    return tuple(found)


def parameters_anew(started: Iterable[StartedAnew]) -> set[str]:
    """Qualified names, as the optimizer knows them."""
    return {f"{part.part}.{name}" for part in started for name in part.tensors}


def _load_part(name: str, part: nn.Module, theirs: Mapping[str, Tensor]) -> StartedAnew:
    own = part.state_dict()
    misfits = [key for key, value in own.items() if not _fits(value, theirs.get(key))]
    anew = _with_what_belongs_to_them(part, own, misfits)
    part.load_state_dict({key: sharded_as(own[key], theirs[key]) for key in own if key not in anew}, strict=False)
    return StartedAnew(
        part=name,
        tensors=tuple(key for key in own if key in anew),
        reason=_reason(misfits, theirs),
        unused=len(theirs.keys() - own.keys()),
    )


def _with_what_belongs_to_them(part: nn.Module, own: Mapping[str, Tensor], misfits: Collection[str]) -> set[str]:
    if not misfits:
        return set()
    if isinstance(part, NeedsInitialisation):
        return set(own)
    buffers = own.keys() - dict(part.named_parameters(remove_duplicate=False)).keys()
    return {*misfits, *(buffers if buffers.intersection(misfits) else ())}


def _reason(misfits: Collection[str], theirs: Mapping[str, Tensor]) -> str:
    known = sum(key in theirs for key in misfits)
    if not misfits:
        return ""
    if known == len(misfits):
        return "other shape"
    return "not in the checkpoint" if not known else "other shape, or not in the checkpoint"


def _fits(own: Tensor, theirs: Tensor | None) -> bool:
    return theirs is not None and own.shape == theirs.shape and own.dtype == theirs.dtype
