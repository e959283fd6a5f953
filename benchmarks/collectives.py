"""What ranks hand to collectives in a training step: by formula, from a recipe's sizes, and counted as torch does it.

Bytes are those that one rank hands over: its own rows of a gather, the whole buffer of a sum or of a broadcast. What
crosses a link is more, and depends on the algorithm: `on_a_ring` has it for a ring.

Shapes: R ranks, b sequences of a rank in a micro-batch, P projection dimension, D embedding dimension, K codes of each
of G groups, M tokens of a rank's contexts.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from jepa_core import crew as crew_module
from jepa_core.engine.trainer import Trainer
from jepa_core.recipes.tables import Recipe

Kind = Literal["gradients", "rows of losses", "means of losses", "sums of statistics", "rows of statistics", "words"]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
Way = Literal["sum", "gather", "broadcast"]
FLOAT, WORD = 4, 8
"""Bytes of a float32 and of an int64."""
FEW = 64
"""Up to as many bytes are a word or two: they take what a collective takes at least."""
HOST_WORDS = 4
"""Of an `agreed`: stop, rollback, save, end."""


@attrs.frozen
class Sent:
    """What one cause hands to collectives in a step."""

    cause: str
    kind: Kind
    way: Way
    num_bytes: int
    """Of one rank, in all calls."""
    calls: int = 1


BUCKETS = 2
"""That DistributedDataParallel sums the gradients of the reference recipe in, a collective each: counted, as it depends
on the order and the sizes of a model's parameters."""


class NoFormulaError(Exception):
    """Which component has none."""


@attrs.frozen(kw_only=True)
class Sizes:
    """What the bytes of a step depend on."""

    ranks: int
    batch: int
    """Sequences of one rank in a micro-batch."""
    accumulate: int
    projection_dim: int
    embedding_dim: int
    tokens: int
    """Places for tokens in a rank's contexts."""
    parameters: int
    tensors: int
    """That parameters stand in."""
    codebook: tuple[int, int]
    """Codes and numbers of all groups together; zeros where there is no codebook."""

    @staticmethod
    def of(trainer: Trainer, ranks: int, batch: int) -> Sizes:
        """A trainer's, whose ranks have `batch` sequences each."""
        online, trained = trainer.parts.online, list(trainer.step.parameters.values())
        codebook = getattr(online.quantizer, "codebook", None)
        return Sizes(
            ranks=ranks,
            batch=batch,
            accumulate=trainer.recipe.train.accumulate,
            projection_dim=trainer.recipe.projector.dim,
            embedding_dim=online.embedding_dim,
            tokens=batch * trainer.shape.context_length * online.num_tokens,
            parameters=sum(parameter.numel() for parameter in trained),
            tensors=len(trained),
            codebook=(0, 0) if codebook is None else (codebook.shape[0] * codebook.shape[1], codebook.numel()),
        )


def by_formula(recipe: Recipe, sizes: Sizes) -> list[Sent]:
    """Everything of a step.

    Raises:
        NoFormulaError: for a loss or quantizer that is not known here.
    """
    if sizes.ranks == 1:
        return []
    sent = [
        Sent("weights", "gradients", "sum", FLOAT * sizes.parameters, BUCKETS),
        Sent("weights: which have a gradient", "words", "sum", 4 * sizes.tensors),
    ]
    for name, entry in recipe.losses.items():
        sent += _of(f"losses.{name}", _LOSSES, entry.config, sizes)
    sent += _of("quantizer", _QUANTIZERS, recipe.quantizer, sizes)
    return [
        *sent,
        Sent("the mean loss", "words", "sum", FLOAT),
        Sent(
            "stop, save, end", "words", "sum", WORD * HOST_WORDS * (sizes.accumulate + 1), sizes.accumulate + 1
        ),
    ]  # fmt: skip


def _of(cause: str, known: Mapping[str, Callable[[str, Any, Sizes], list[Sent]]], config: Any, s: Sizes) -> list[Sent]:
    if config.kind not in known:
        raise NoFormulaError(f"{cause} of kind {config.kind!r}")
    return known[config.kind](cause, config, s)


def _info_nce(cause: str, config: Any, s: Sizes) -> list[Sent]:
    rows = FLOAT * s.batch * s.projection_dim * s.accumulate
    sent = [Sent(f"{cause}: other ranks' targets", "rows of losses", "gather", rows, s.accumulate)]
    if config.symmetric:
        sent += _gathered(f"{cause}: contexts", rows, s)
    if config.queue:
        sent.append(Sent(f"{cause}: targets for the queue", "rows of statistics", "gather", rows))
    return sent


def _gathered(cause: str, rows: int, s: Sizes) -> list[Sent]:
    """There, and the gradient back: a sum over all rows, of which a rank keeps its own."""
    return [
        Sent(cause, "rows of losses", "gather", rows, s.accumulate),
        Sent(f"{cause}, back", "rows of losses", "sum", s.ranks * rows, s.accumulate),
    ]


def _sigreg(cause: str, config: Any, s: Sizes) -> list[Sent]:
    means = 2 * config.slices * (config.points // 2 + 1) * FLOAT
    return [
        Sent(f"{cause}: key of directions", "words", "broadcast", WORD * s.accumulate, s.accumulate),
        Sent(f"{cause}: characteristic function", "means of losses", "sum", means * s.accumulate, s.accumulate),
        Sent(f"{cause}: the same, back", "means of losses", "sum", means * s.accumulate, s.accumulate),
    ]


def _relational(cause: str, _config: Any, s: Sizes) -> list[Sent]:
    return [Sent(f"{cause}: pairs that count", "words", "sum", 2 * WORD * s.accumulate, 2 * s.accumulate)]


def _view_contrast(cause: str, _config: Any, s: Sizes) -> list[Sent]:
    rows = FLOAT * s.batch * s.embedding_dim * s.accumulate
    return [Sent(f"{cause}: targets", "rows of losses", "gather", rows, s.accumulate)]


def _vicreg(cause: str, _config: Any, s: Sizes) -> list[Sent]:
    return _gathered(f"{cause}: contexts", FLOAT * s.batch * s.projection_dim * s.accumulate, s)


def _nothing(_cause: str, _config: Any, _s: Sizes) -> list[Sent]:
    return []


def _ema_vq(cause: str, config: Any, s: Sizes) -> list[Sent]:
    num_codes, num_numbers = s.codebook
    rows = min(config.revive_at_most, s.tokens) * s.accumulate
    key = [Sent(f"{cause}: key of the draw", "words", "broadcast", WORD * s.accumulate, s.accumulate)]
    return [
        Sent(f"{cause}: tokens, for the mean", "words", "sum", WORD * s.accumulate, s.accumulate),
        *(key if config.revive_at_most else []),
        Sent(f"{cause}: counts of codes", "sums of statistics", "sum", FLOAT * num_codes),
        Sent(f"{cause}: sums of tokens", "sums of statistics", "sum", FLOAT * num_numbers),
        Sent(f"{cause}: candidates for revival", "rows of statistics", "gather", FLOAT * rows * s.embedding_dim),
        Sent(f"{cause}: their keys", "rows of statistics", "gather", FLOAT * rows),
    ]


_LOSSES = {
    "info_nce": _info_nce,
    "sigreg": _sigreg,
    "relational": _relational,
    "view_contrast": _view_contrast,
    "vicreg": _vicreg,
    "invariance": _nothing,
    "seed_invariance": _nothing,
}
_QUANTIZERS = {"ema_vq": _ema_vq, "none": _nothing, "fsq": _nothing}


def by_kind(sent: Sequence[Sent]) -> dict[str, int]:
    """Kind → bytes, for all kinds."""
    found: Counter[str] = Counter()
    for each in sent:
        found[each.kind] += each.num_bytes
    return {kind: found[kind] for kind in KINDS}


def on_a_ring(sent: Sequence[Sent], ranks: int) -> float:
    """Bytes that one rank sends to its neighbour, were all collectives rings."""
    factor = {"sum": 2 * (ranks - 1) / ranks, "gather": ranks - 1, "broadcast": (ranks - 1) / ranks}
    return sum(factor[each.way] * each.num_bytes for each in sent)


class Counted(TorchDispatchMode):
    """While entered, notes every collective of this process, DistributedDataParallel's too, as torch dispatches it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.namespace == "c10d":
            self._note(func.name().split("::")[1], args)
        return func(*args, **(kwargs or {}))

    def _note(self, name: str, args: tuple[Any, ...]) -> None:
        way, handed = _HANDED[name]
        tensors = handed(args)
        num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        asked_by = list(_asked_by())
        self.sent.append(Sent(" < ".join(asked_by), _kind(asked_by, tensors, num_bytes), way, num_bytes))


_HANDED: dict[str, tuple[Way, Callable[[tuple[Any, ...]], Sequence[torch.Tensor]]]] = {
    "allreduce_": ("sum", lambda args: args[0]),
    "broadcast_": ("broadcast", lambda args: args[0]),
    "_allgather_base_": ("gather", lambda args: [args[1]]),
    "allgather_": ("gather", lambda args: args[1]),
}
"""torch's operator → what it is, and the tensors among its arguments that this rank hands over."""


def _asked_by() -> Iterator[str]:
    """Which of the crew's functions asked for a collective, from the inside; none where DistributedDataParallel did."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == crew_module.__file__:
            yield frame.f_code.co_qualname
        frame = frame.f_back  # type: ignore[assignment]  # None ends it


def _kind(asked_by: Sequence[str], tensors: Sequence[torch.Tensor], num_bytes: int) -> Kind:
    if not asked_by:
        return "gradients" if tensors[0].is_floating_point() else "words"
    if "Crew.merged" in asked_by:
        return "sums of statistics" if "Crew.total" in asked_by else "rows of statistics"
    if "_all_rows" in asked_by or "_Gathered.backward" in asked_by:
        return "rows of losses"
    return "words" if num_bytes <= FEW else "means of losses"
