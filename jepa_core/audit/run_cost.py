"""How long all steps of a run will take on a CPU, from steps on few sequences: found in seconds, before it begins."""

from __future__ import annotations

import time

import attrs
import torch

from jepa_core.contracts import SequenceDataset
from jepa_core.engine.augmentation import built_augmentations
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.device import Compute
from jepa_core.engine.network import build_parts
from jepa_core.engine.step import TrainingStep
from jepa_core.recipes.tables import Recipe

FEW, MORE = 8, 32
"""Sequences of the steps that are timed."""
AT_ONCE = 0.3
"""Seconds of a step on few sequences above which more are not tried: what does not grow with them is no matter then."""


def run_seconds(recipe: Recipe, dataset: SequenceDataset, compute: Compute) -> float | None:
    """Of all steps, without validations; None on a GPU, whose own first steps say it sooner.

    A part of a CPU's time grows with the sequences of a batch, the rest does not: batches of two sizes separate them.

    Raises:
        RecipeError: there are fewer sequences than a batch has.
    """
    if compute.device.type == "cuda":
        return None
    batch_size = recipe.train.batch_size
    few, more = min(FEW, batch_size), min(MORE, batch_size)
    first = _seconds(recipe, dataset, compute, few)
    of_batch = first * batch_size / few
    if few < more and first < AT_ONCE:
        per_sequence = max(0.0, _seconds(recipe, dataset, compute, more) - first) / (more - few)
        of_batch = first + per_sequence * (batch_size - few)
    return of_batch * recipe.train.accumulate * Course.of(recipe, len(dataset.train)).run_steps


def _seconds(recipe: Recipe, dataset: SequenceDataset, compute: Compute, num_sequences: int) -> float:
    """Of a step on so many sequences: of the second, or of the first where that takes long."""
    train = attrs.evolve(recipe.train, batch_size=num_sequences, accumulate=1, compile=False, non_finite="skip")
    recipe, shape = attrs.evolve(recipe, train=train), DataShape.of(dataset)
    batches = BatchStream(dataset.train, num_sequences, train.seed, torch.device("cpu"), place=recipe.place)
    parts, augment = build_parts(recipe, shape, compute.device), built_augmentations(recipe, shape)
    course = Course.of(recipe, len(dataset.train))
    training = TrainingStep(recipe, parts, batches, compute, course, augment=augment, run_steps=10_000)
    for step in range(2):
        started = time.perf_counter()
        training(step)
        seconds = time.perf_counter() - started
        if seconds > AT_ONCE:
            break
    return seconds
