"""The unchanged run's first steps on real batches, and trials beside them. Everything in fp32, without compilation."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import attrs
import torch
from torch import Tensor

from jepa_core.audit.held_encoder import HeldEncoder, Memory, TriedTarget, remember_weights
from jepa_core.audit.rebuilding import Change, held_parts
from jepa_core.audit.trial import NUM_STEPS, Effect, Trace, take_steps
from jepa_core.contracts import NeedsInitialisation, Observations, SequenceDataset, Sequences
from jepa_core.engine.augmentation import built_augmentations
from jepa_core.engine.batches import BatchStream
from jepa_core.engine.component_contract import require_contract
from jepa_core.engine.course import Course
from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import require_tokens
from jepa_core.engine.device import Compute
from jepa_core.engine.diagnostics import gradient_shares
from jepa_core.engine.evaluation import evaluation_mode
from jepa_core.engine.network import Parts, build_parts
from jepa_core.engine.objective import Outcome
from jepa_core.engine.seeds import seed_phase
from jepa_core.engine.step import TrainingStep
from jepa_core.recipes.tables import Recipe

if TYPE_CHECKING:
    from jepa_core.engine.network import EncoderModule

NUM_SEQUENCES = 32
"""Sequences in an audited batch."""

_APART = -1
"""A step that no trial takes."""

INITIAL_SEQUENCES = 64
"""Sequences whose tokens a codebook starts from."""


@attrs.frozen(kw_only=True)
class UnchangedStep:
    """A measured step."""

    seconds: float
    figures: dict[str, float]
    """Its metrics row: losses, gradient norm, temperature, …"""


class Bench:
    """A recipe with its data, ready for trials."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: SequenceDataset,
        compute: Compute,
        *,
        sequences: int = NUM_SEQUENCES,
        initial_sequences: int = INITIAL_SEQUENCES,
        is_known_sound: bool = False,
    ) -> None:
        """`is_known_sound`: another bench has looked at what these components return."""
        self.recipe = audited(recipe, min(sequences, recipe.train.batch_size, len(dataset.train)))
        self.compute = Compute(compute.device, "fp32")
        self.shape = DataShape.of(dataset)
        self.course = Course.of(self.recipe, len(dataset.train))
        train = self.recipe.train
        self.batches = BatchStream(dataset.train, train.batch_size, train.seed, compute.device, place=recipe.place)
        self.start, self.memory = self._started(initial_sequences, is_known_sound=is_known_sound)
        self.steps: list[UnchangedStep] = []
        self.saved_bytes = 0
        """Kept for the backward pass of one audited batch."""
        self._mixed: Bench | None = None
        self._unchanged: dict[bool, Trace] = {}

    def encode(self, num_batches: int = NUM_STEPS + 1) -> None:
        """Remember what the encoders make of the first batches with the weights of the start.

        Cheaper than `record`, and enough to see whether a setting behind the encoder does anything.
        """
        training = self.held_training()
        self.memory.recording = True
        for step in range(num_batches):
            self.memory.step = step
            with torch.no_grad():
                training.objective.encode(*training.draw(step, 0))
        self.memory.recording = False

    def record(self) -> None:
        """Take the first steps for real, and remember what the encoders gave."""
        training, saved = self._weighed()
        encoder = training.parts.online.encoder
        assert isinstance(encoder, HeldEncoder)
        self.memory.recording = True
        for step in range(NUM_STEPS):
            self.memory.step = step
            saved.begin_step()
            started = time.perf_counter()
            with torch.autograd.graph.saved_tensors_hooks(saved.note, lambda tensor: tensor):
                training(step)
            figures = training.meters.take()
            self.steps.append(UnchangedStep(seconds=time.perf_counter() - started, figures=figures))
            remember_weights(encoder)
        self.saved_bytes = saved.total // NUM_STEPS
        self.memory.step = NUM_STEPS
        with torch.no_grad():
            training.objective(*training.draw(NUM_STEPS, 0))
        self.memory.recording = False

    def weigh(self) -> None:
        """Count `saved_bytes` without a step, from the forward pass of the first batch."""
        training, saved = self._weighed()
        self.memory.recording, self.memory.step = True, _APART
        saved.begin_step()
        with torch.autograd.graph.saved_tensors_hooks(saved.note, lambda tensor: tensor):
            training.objective(*training.draw(0, 0))
        self.saved_bytes = saved.total
        self.memory.recording = False

    def _weighed(self) -> tuple[TrainingStep, _SavedBytes]:
        """The run at its start with encoders that move, and what adds up what autograd keeps of it."""
        parts = held_parts(self.start, self.recipe, Change(recipe=self.recipe, own_encoders=True))
        weights = chain.from_iterable(
            chain(module.parameters(), module.buffers()) for module in (parts.online, parts.losses)
        )
        return self._training(self.recipe, parts), _SavedBytes(weights)

    def try_change(self, change: Change, *, quiet: bool = False, whole: bool = True) -> Effect:
        """What a change does; without `whole`, at the first step where it clearly does something."""
        base = self.unchanged(quiet=quiet)
        trace = self._trace(change, quiet=quiet, until_clear_against=None if whole else base)
        return trace.against(base)

    def unchanged(self, *, quiet: bool) -> Trace:
        """The unchanged run behind the held encoder."""
        if quiet not in self._unchanged:
            self._unchanged[quiet] = self._trace(Change(recipe=self.recipe), quiet=quiet, until_clear_against=None)
        return self._unchanged[quiet]

    def first_outcome(self, change: Change | None = None) -> Outcome:
        """The objective on the first batch at the start, perhaps with something changed, without gradient."""
        training = self.held_training(change)
        self.memory.step = 0
        batch, views = training.draw(0, 0)
        with evaluation_mode(training.objective):
            outcome: Outcome = training.objective(batch, views)
        return outcome

    def shares(self) -> dict[str, float]:
        """Each loss's share of the gradient at the encoder's output, at the start."""
        self.memory.step = 0
        shares = gradient_shares(self.held_training(), 0)
        return {name.removeprefix("grad.share."): float(value) for name, value in shares.items()}

    def held_training(self, change: Change | None = None) -> TrainingStep:
        """A run at its start behind the held encoder, the unchanged one when nothing is changed."""
        change = change or Change(recipe=self.recipe)
        return self._training(change.recipe, held_parts(self.start, self.recipe, change))

    def mixed(self) -> Bench:
        """The same start on data whose context comes from different sequences, so that none are alike."""
        if self._mixed is None:
            sample = self.batches.sample(4 * self.batches.batch_size)
            last = self.shape.context_length
            rolled = sample.map(
                lambda part: torch.stack([part[:, t].roll(t % last, dims=0) for t in range(last + 1)], 1)
            )
            sequences = Sequences(observations=rolled, tasks=torch.arange(len(rolled)))
            dataset = SequenceDataset(
                space=self.shape.space,
                train=sequences,
                validation=sequences,
                task_names=(),
                description="mixed",
                fingerprint="",
                roles=self.shape.roles,
            )
            self._mixed = Bench(
                self.recipe,
                dataset,
                self.compute,
                sequences=self.batches.batch_size,
                initial_sequences=0,
                is_known_sound=True,
            )
            self._mixed.encode(1)
        return self._mixed

    def first_batch(self) -> Observations:
        """Context (B, T, …) of the first batch."""
        return self.held_training().draw(0, 0)[0][:, :-1]

    def _trace(self, change: Change, *, quiet: bool, until_clear_against: Trace | None) -> Trace:
        parts = held_parts(self.start, self.recipe, change)
        training = self._training(change.recipe, parts)
        return take_steps(training, change=change, quiet=quiet, until_clear_against=until_clear_against)

    def _training(self, recipe: Recipe, parts: Parts) -> TrainingStep:
        augment = built_augmentations(recipe, self.shape)
        return TrainingStep(recipe, parts, self.batches, self.compute, self.course, augment=augment, run_steps=10_000)

    def _started(self, initial_sequences: int, *, is_known_sound: bool) -> tuple[Parts, Memory]:
        """The run's start, with the online encoder held."""
        parts = build_parts(self.recipe, self.shape, self.compute.device)
        # Before anything is made of what components return: later it would be the next one that fails. A gradient that
        # does not arrive is a finding.
        if not is_known_sound:
            with torch.no_grad():
                require_contract(self._training(self.recipe, parts))
        online = parts.online
        memory = Memory(encoder=online.encoder.eval(), shape=self.shape)
        self._initialise(online.quantizer, online.encoder, initial_sequences)
        online.encoder = cast("EncoderModule", HeldEncoder(memory))
        return Parts(online, TriedTarget(online, frozen=False, by_memory=True), parts.losses), memory

    def _initialise(self, quantizer: Any, encoder: torch.nn.Module, sequences: int) -> None:
        if not (isinstance(quantizer, NeedsInitialisation) and sequences):
            return
        context = self.batches.sample(sequences)[:, :-1]
        with torch.no_grad():
            embeddings = encoder(context.flatten())
            tokens = embeddings.values[embeddings.mask].float()
            require_tokens(len(tokens), len(context), self.recipe)
            seed_phase(self.recipe.train.seed, "initialise")
            quantizer.initialise(tokens)


def audited(recipe: Recipe, batch_size: int) -> Recipe:
    """The recipe with small batches, and without what keeps the first steps from showing anything: warm-up."""
    return attrs.evolve(
        recipe,
        train=attrs.evolve(
            recipe.train, batch_size=batch_size, accumulate=1, compile=False, precision="fp32", non_finite="skip"
        ),
        schedule=attrs.evolve(recipe.schedule, warmup_steps=0),
    )


class _SavedBytes:
    """Adds up the distinct storages that autograd keeps, without weights: those are there whatever the batch."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self.total = 0
        self._weights = frozenset(map(_storage_key, weights))
        self._seen: set[tuple[int, int]] = set()

    def begin_step(self) -> None:
        """Forget the storages of the step before: their addresses are given to others."""
        self._seen = set(self._weights)

    def note(self, tensor: Tensor) -> Tensor:
        key = _storage_key(tensor)
        if key not in self._seen:
            self._seen.add(key)
            self.total += tensor.untyped_storage().nbytes()
        return tensor


def _storage_key(tensor: Tensor) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()
