"""Where memory ran out: how much there is, and which setting to halve."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch

from jepa_core.discovery.offer import in_words
from jepa_core.errors import DeviceError
from jepa_core.recipes.tables import Recipe
from jepa_core.run_directory.naming import typed_name
from jepa_core.visible_text import clean

if TYPE_CHECKING:
    from jepa_core.engine.step import TrainingStep  # which builds networks, and they come here

_GIB = 2**30
_WORDS = ("DefaultCPUAllocator", "Storage size calculation overflowed")
"""Of torch's errors on the host; the second is of more bytes than can be counted."""


class OutOfMemory(DeviceError):  # noqa: N818  # what torch calls it, too
    """A step did not fit the memory."""

    def __init__(self, message: str, settings: dict[str, int]) -> None:
        super().__init__(message)
        self.evidence = {"out_of_memory": settings}
        """For the event: the recipe's values that may fit, by dotted key."""


def is_out_of_memory(error: BaseException) -> bool:
    """On a GPU, or on the host, where torch has no class for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def out_of_memory(
    error: BaseException, recipe: Recipe, training: TrainingStep | None, run: Path | None, *, by: str
) -> OutOfMemory:
    """What to say. `run`: the run that is trained, if one is; `by`: who asked for memory."""
    device = torch.device("cpu") if training is None else training.compute.device
    ranks = 1 if training is None else training.crew.size
    settings = smaller_batch(recipe.train.batch_size, recipe.train.accumulate, ranks)
    said = clean(in_words(error).partition(". GPU ")[0], 200)
    said = f"Out of memory{f' in {by}' if by else ''}: {said.rstrip('.')}."
    if run is None:
        fewer = settings.get("train.batch_size", 1)
        return OutOfMemory(f"{said}\nTake fewer sequences at a time: --set train.batch_size={fewer}", settings)
    message = [
        said,
        f"{_figures(device)} train.batch_size is {recipe.train.batch_size}, train.accumulate is "
        f"{recipe.train.accumulate}.",
        _advice(settings),
        f"What else is known, and how to go on: jepa autopsy {clean(typed_name(run), 300)}",
    ]
    return OutOfMemory("\n".join(message), settings)


@contextmanager
def memory_for(what: str, settings: Any) -> Iterator[None]:
    """While entered, memory that is not there is laid to the settings (an attrs class) that `what` is built with.

    Raises:
        DeviceError: they ask for more memory than there is.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = clean(in_words(error).rpartition("DefaultCPUAllocator: ")[2], 200).rstrip(".")
        given = given_settings(settings)
        raise DeviceError(
            f"There is not enough memory for {what}: {said}.\n"
            f"Its settings ask for that{f': {given}' if given else ''}. Make them smaller, or what it is built upon."
        ) from error


def given_settings(settings: Any) -> str:
    """Those of an attrs class that are not their defaults, such as "heads = 5 (4 by default)"; empty where all are."""
    return ", ".join(
        _in_words(field, getattr(settings, field.name))
        for field in attrs.fields(type(settings))
        if field.init and (field.default is attrs.NOTHING or isinstance(field.default, int | float | str | None))
        if getattr(settings, field.name) != field.default
    )


def _in_words(field: attrs.Attribute[Any], value: object) -> str:
    shown = f"{field.name} = {clean(repr(value), 60)}"
    return shown if field.default is attrs.NOTHING else f"{shown} ({clean(repr(field.default), 60)} by default)"


def smaller_batch(batch_size: int, accumulate: int, ranks: int = 1) -> dict[str, int]:
    """The settings for half a micro-batch and twice as many of them: the same batch in a step, where it is even. Empty
    where there is no smaller one that all ranks have equal shares of."""
    half = batch_size // 2 // ranks * ranks
    return {"train.batch_size": half, "train.accumulate": accumulate * 2} if half else {}


def _advice(settings: dict[str, int]) -> str:
    if not settings:
        return "A micro-batch cannot be smaller: take a smaller encoder, or a device with more memory."
    flags = " ".join(f"--set {key}={value}" for key, value in settings.items())
    return f"Halve the one and double the other, which keeps the sequences of a step: {flags}"


def _figures(device: torch.device) -> str:
    """Memory now, as far as the system tells."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        used = torch.cuda.memory_allocated(device) / _GIB
        return f"{device} has {total / _GIB:.1f} GiB, {free / _GIB:.1f} GiB of it free; this run holds {used:.1f} GiB."
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):
        return "The system does not say how much memory there is."
    return f"This machine has {total / _GIB:.1f} GiB, {free / _GIB:.1f} GiB of it free."
