"""What a recipe takes at the least, in memory and time, beside what this computer has: sizes by which nothing could be
trained are refused in a sentence that names them, before they are tried.

The model is built where tensors take no memory, on torch's device "meta", and counted. Every figure is a lower bound,
so that nothing is refused that could be trained. Knows no step: what activations take the audit sees.
"""

from __future__ import annotations

import math
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from jepa_core.contracts import SaysSize, SequenceDataset
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute
from jepa_core.engine.network import build_parts
from jepa_core.errors import DeviceError, JepaError, RecipeError
from jepa_core.facts import frames
from jepa_core.recipes.tables import Recipe

LONGEST = 10.0
"""Years that a run may take, by a bound that no computer reaches."""
QUICKEST = 1e-4
"""Seconds of a micro-batch: of the smallest network no computer takes one in less."""
MANY = 32
"""Times the usual number: sizes that are all below it are not looked at, since counting takes a second the first time,
for libraries that torch loads for it."""
PATIENCE = 0.5
"""Seconds of the processor that counting a model may take: what larger ones need is extrapolated from smaller ones."""

_USUAL = 1024
"""What a number counts as usual that is 0 by default, such as that of a queue, or follows another."""
_LONGEST_CONTEXT = 10_000
"""Places of a sequence that are listed one by one."""
_FLOAT, _CODE = 4, 4
"""Bytes of a weight, and of what is counted for each code."""
_GIB = 2**30
_YEAR = 365.25 * 24 * 3600
_CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says how much memory a container may have, in either of its ways."""


def trainable_dataset(recipe: Recipe, compute: Compute) -> SequenceDataset:
    """The data of a recipe that could be trained on it here.

    Raises:
        RecipeError: it could not.
        JepaError: the data cannot be built.
    """
    require_affordable(recipe, compute)
    dataset = built_dataset(recipe)
    require_affordable(recipe, compute, dataset)
    return dataset


def require_affordable(recipe: Recipe, compute: Compute, dataset: SequenceDataset | None = None) -> None:
    """Refuse what cannot be trained here; without a dataset by what holds for any data of its kind.

    Raises:
        RecipeError: it takes too long, or more memory than there is; with the value that is at fault.
    """
    _require_time(recipe, None if dataset is None else len(dataset.train))
    sizes = _sizes(recipe)
    if not sizes or sizes[0].times_usual < MANY:
        return
    need = _Need(on_host=compute.device.type != "cuda", dataset=dataset)
    there, what = _memory(compute)
    with torch.random.fork_rng(devices=()):
        taken = need.of(recipe)
        if taken <= there:
            return
        size = next((size for size in sizes if need.with_value(size, size.usual) <= there), sizes[0])
    amount = "more memory than can be counted" if math.isinf(taken) else f"at least {taken / _GIB:,.1f} GiB of memory"
    raise RecipeError(
        f"{size.key} = {size.value} takes {amount} to train, and {what} has {there / _GIB:,.1f} GiB. Make it smaller: "
        f"{size.usual} is usual."
    )


def host_memory() -> float:
    """Bytes that this process may have: the computer's, or less by a limit of its container or its shell."""
    limits = [float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")]
    for path in _CONTAINER_LIMITS:
        try:
            limits.append(float(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is none, or the word max
            continue
    of_shell, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min(limits if of_shell == resource.RLIM_INFINITY else [*limits, float(of_shell)])


def _memory(compute: Compute) -> tuple[float, str]:
    """Bytes that training may take, and of what."""
    if compute.device.type == "cuda":
        return float(torch.cuda.get_device_properties(compute.device).total_memory), str(compute.device)
    return host_memory(), "this computer"


def _require_time(recipe: Recipe, num_sequences: int | None) -> None:
    """
    Raises:
        RecipeError: the run would not end within a lifetime.
    """
    train = recipe.train
    # Of data that is not read it is known only that an epoch has a batch.
    num_sequences = max(train.batch_size, num_sequences or 0)
    run_steps = Course.of(recipe, num_sequences).run_steps
    years = QUICKEST * run_steps * train.accumulate / _YEAR
    if years > LONGEST:
        key = "accumulate" if train.accumulate > train.epochs else "epochs"
        usual = attrs.fields_dict(type(train))[key].default
        raise RecipeError(
            f"train.{key} = {getattr(train, key)} takes at least {years:,.0f} years on any computer, at "
            f"{QUICKEST * 1000:g} ms a batch. Make it smaller: {usual} is usual."
        )


class _ImpatientError(JepaError):
    """Counting takes too long. Of this kind, since building a component lets it pass."""


@attrs.frozen(kw_only=True)
class _Need:
    """Bytes that recipes take at the least: 0 where nothing is known, infinite where they are too many for a number."""

    on_host: bool
    """Whether training takes the host's memory, with data and batches."""
    dataset: SequenceDataset | None

    def of(self, recipe: Recipe) -> float:
        """What training takes."""
        found = self.counted(recipe)
        if math.isnan(found):  # the first time torch loads libraries for it, which may have been what took long
            found = self.counted(recipe)
        return self._extrapolated(recipe) if math.isnan(found) else found

    def counted(self, recipe: Recipe) -> float:
        """The same; NaN where counting takes too long."""
        models = [found for shape in self._shapes(recipe) if (found := self._of_model(recipe, shape)) is not None]
        # The smaller of the observations that there may be; and NaN of any is NaN.
        return self._of_data(recipe) + (min(models) if models and not any(map(math.isnan, models)) else sum(models))

    def with_value(self, size: _Size, number: int) -> float:
        """What is counted with another number in a size's place; NaN also where its part does not take that."""
        try:
            return self.counted(size.with_value(number))
        except (ValueError, TypeError):
            return math.nan

    def _extrapolated(self, recipe: Recipe) -> float:
        """Of a model with too many parts to count: it grows by as much as from one to twice the usual number of them,
        at the least, with each further time that number."""
        for size in _sizes(recipe):
            once, twice = (self.with_value(size, number) for number in (size.usual, 2 * size.usual))
            if math.isfinite(once) and math.isfinite(twice):
                return once + (size.times_usual - 1) * (twice - once)
        return 0.0

    def _of_data(self, recipe: Recipe) -> float:
        """Of data that is built it is what it is, whatever the recipe's table says."""
        if not self.on_host:
            return 0.0
        if self.dataset is not None:
            return float(sum(split.observations.num_bytes for split in (self.dataset.train, self.dataset.validation)))
        try:
            return float(recipe.data.num_bytes()) if isinstance(recipe.data, SaysSize) else 0.0
        except JepaError:  # it is not there, which building it will tell
            return 0.0

    def _shapes(self, recipe: Recipe) -> list[DataShape]:
        if self.dataset is not None:
            return [DataShape.of(self.dataset)]
        length = getattr(recipe.data, "context_length", 1)
        roles = frames(length + 1 if length <= _LONGEST_CONTEXT else 0)
        try:
            spaces = recipe.data.space.examples()
            return [DataShape(context_length=length, space=space, roles=roles) for space in spaces]
        except Exception:  # whatever is wrong is said where the data are read
            return []

    def _of_model(self, recipe: Recipe, shape: DataShape) -> float | None:
        """Weights and their averages, gradients, moments, and on the host a batch's tokens; None where they cannot be
        counted: the model does not take such data, or looks at what its tensors hold."""
        try:
            with _patient(), torch.device("meta"):
                parts = build_parts(recipe, shape, torch.device("meta"))
        except _ImpatientError:
            return math.nan
        except DeviceError:
            return math.inf
        except Exception:  # whatever is wrong is said where the model is built
            return None
        trained = sum(p.numel() for module in parts.trained().values() for p in module.parameters())
        kept = [*parts.target.parameters(), *parts.online.buffers(), *parts.losses.buffers()]
        codes = getattr(parts.online.quantizer, "num_codes", 0)
        copies = 1 if recipe.train.parallel == "fsdp" else 4
        return float(
            _FLOAT * copies * trained
            + sum(tensor.numel() * tensor.element_size() for tensor in kept)
            + _CODE * codes
            + self._of_batch(recipe, shape, parts.online.num_tokens * parts.online.embedding_dim)
        )

    def _of_batch(self, recipe: Recipe, shape: DataShape, token_numbers: int) -> int:
        if not self.on_host:  # a GPU says itself, and ranks may share the batch
            return 0
        observation = sum(tensor.nbytes for tensor in shape.space.sample(1).tensors.values())
        return recipe.train.batch_size * (shape.context_length + 1) * (observation + 2 * token_numbers)


@contextmanager
def _patient() -> Iterator[None]:
    """
    Raises:
        _ImpatientError: a parameter is made after `PATIENCE` seconds, in this thread.
    """
    deadline, thread = time.thread_time() + PATIENCE, threading.get_ident()

    def look(_module: nn.Module, _name: str, _parameter: nn.Parameter | None) -> None:
        if time.thread_time() > deadline and threading.get_ident() == thread:
            raise _ImpatientError

    hook = register_module_parameter_registration_hook(look)
    try:
        yield
    finally:
        hook.remove()


@attrs.frozen
class _Size:
    """A number of a recipe that is larger than it is by default."""

    key: str
    value: int
    usual: int
    with_value: Callable[[int], Recipe]
    """The recipe with another number in its place; of a part's own class, which may refuse it."""

    @property
    def times_usual(self) -> float:
        return self.value / self.usual


def _sizes(recipe: Recipe) -> list[_Size]:
    """Those of a recipe's parts, the most unusual first."""
    found: list[_Size] = []
    for part in ("data", "encoder", "quantizer", "aggregator", "predictor", "projector", "train"):
        found += _sizes_of(part, getattr(recipe, part), partial(_with_part, recipe, part))
    for name, entry in recipe.losses.items():
        found += _sizes_of(f"losses.{name}", entry.config, partial(_with_loss, recipe, name))
    return sorted(found, key=lambda size: size.times_usual, reverse=True)


def _sizes_of(name: str, config: Any, with_config: Callable[[Any], Recipe]) -> Iterator[_Size]:
    def with_value(field: str, number: int) -> Recipe:
        return with_config(attrs.evolve(config, **{field: number}))

    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        usual = field.default if type(field.default) is int and field.default > 0 else _USUAL
        if type(value) is int and value > usual and "seed" not in field.name:
            yield _Size(f"{name}.{field.name}", value, usual, partial(with_value, field.name))


def _with_part(recipe: Recipe, part: str, config: Any) -> Recipe:
    return attrs.evolve(recipe, **{part: config})


def _with_loss(recipe: Recipe, name: str, config: Any) -> Recipe:
    return attrs.evolve(recipe, losses={**recipe.losses, name: attrs.evolve(recipe.losses[name], config=config)})
