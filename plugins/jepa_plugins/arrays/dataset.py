"""The user's own arrays as a dataset: ready sequences, one long recording or several, of images, series or vectors.

A file has `observations`, and may have `labels.NAME` (classes as whole numbers, or numbers as floats), `tasks` and
`split` (0 trains, 1 validates) for each row: each sequence, each of several recordings, each step of a single one.

What it costs in memory: float32 that is mapped from disk, none; other types, and what is standardised, a float32 copy.
The sequences of a single recording are views of it. Those of several recordings, and what is chosen row by row, are one
copy, in which a step stands as often as sequences have it: span / stride times.

Shapes: S sequences of T + 1 observations, R recordings of E steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
import torch
from torch import Tensor

from jepa_core.contracts import Observations, SequenceDataset, Sequences, Space
from jepa_core.errors import DataError
from jepa_core.facts import DatasetFacts
from jepa_core.metrics import Metric
from jepa_core.settings import setting
from jepa_core.task_split import TaskSplit
from jepa_plugins.arrays.files import Header
from jepa_plugins.arrays.names import TASKS
from jepa_plugins.arrays.readings import Holds, ObservedAs, Reading, likeliest
from jepa_plugins.arrays.rows import Rows
from jepa_plugins.arrays.source import Source
from jepa_plugins.arrays.standardising import Standardising, standardising
from jepa_plugins.arrays.text_tables import is_text_table, num_observed
from jepa_plugins.arrays.understood import Understood
from jepa_plugins.arrays.windows import Cut, stretches, within_one
from jepa_plugins.data_path import data_path
from jepa_plugins.images.space import ImageSpace
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.scales import Scales, scaled
from jepa_plugins.vectors.space import VectorSpace

_MANY = 1 << 20
"""Steps of a table whose lines have not been counted."""

_SPACES: Mapping[str, type[Space]] = {"images": ImageSpace, "series": SeriesSpace, "vectors": VectorSpace}


@attrs.frozen(kw_only=True)
class ArraysConfig:
    """Your own arrays (.npz, .npy, .safetensors, .csv): sequences or recordings of images, series or vectors."""

    kind: ClassVar[str] = "arrays"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    path: str = setting(
        "file of arrays, .npz, .npy or .safetensors, or table of numbers, .csv or .tsv; a run needs one", default=""
    )
    observed_as: ObservedAs | None = setting(
        "what an observation is; by default inferred from the shape, and said",
        default=None,
        choices=("images", "series", "vectors"),
    )
    holds: Holds | None = setting(
        "what the array holds; by default inferred from the shape, and said",
        default=None,
        choices=("sequences", "recording", "recordings"),
    )
    context_length: int = setting(
        "context observations; of longer ready sequences the last ones count", default=3, at_least=1
    )
    length: int = setting("of recordings as series: steps of an observation", default=32, at_least=1, unit="steps")
    stride: int | None = setting(
        "of recordings: steps from a sequence to the next; by default length for series, else 1",
        default=None,
        at_least=1,
        unit="steps",
    )
    validation_share: float = setting(
        "share of tasks that validate, of a single recording the last part; a file's own split comes first",
        default=0.1,
        above=0,
        below=1,
    )
    split_seed: int = setting("decides which tasks validate", default=13, at_least=0)
    standardise: bool | None = setting(
        "of series and vectors: whether each channel is brought to mean 0 and standard deviation 1, by those of what "
        "trains, which the run keeps for all data; by default where their scales need it, and said",
        default=None,
    )

    @classmethod
    def example(cls, folder: Path) -> ArraysConfig:
        """Of a drawn recording (400, 2), written into a folder."""
        path = folder / "recording.npy"
        np.save(path, np.random.default_rng(0).normal(size=(400, 2)).cumsum(0).astype(np.float32), allow_pickle=False)
        return cls(path=str(path), length=8, stride=4, context_length=2, validation_share=0.3)

    @property
    def space(self) -> type[Space]:
        """What `observed_as` says, else what the file's header looks like.

        Raises:
            RecipeError, DataError: nothing says it, and the file cannot be read.
        """
        return _SPACES[self.observed_as or self._observed_in_table() or self._source().reading.observed_as]

    def inferred(self) -> tuple[str, ...]:
        """What the array was taken for, and how to say otherwise; nothing where the recipe says it.

        Raises:
            RecipeError, DataError: the file cannot be read.
        """
        return self._source().understood.notes()

    def build(self, facts: DatasetFacts) -> SequenceDataset:
        """The arrays as sequences.

        Raises:
            RecipeError: no path is given.
            DataError: the file cannot be read, or what it holds makes no sequences; with what to do.
        """
        source = self._source()
        observed, rows, digest = source.loaded(TaskSplit(share=self.validation_share, seed=self.split_seed))
        split = self._split(source, observed, rows)
        done = self._standardising(source, observed, rows, split, facts.space)
        scales = done.scales
        if scales:
            split = self._split(source, scaled(observed, scales), rows)
        space = _space_of(source.reading, observed, self.length, scales)
        name = "pixels" if source.reading.observed_as == "images" else "values"
        train, validation = (
            Sequences(observations=Observations({name: part.observed}), tasks=part.tasks, labels=part.labels)
            for part in (split.train, split.validation)
        )
        num_sequences, num_tasks = len(train) + len(validation), len(split.task_names)
        return SequenceDataset(
            space=space,
            train=train,
            validation=validation,
            task_names=split.task_names,
            description=f"{num_sequences:,} sequences of {source.file.path.name}, {num_tasks:,} tasks",
            fingerprint=self._fingerprint(digest, source.reading, rows, (train, validation), scales),
            notes=(
                *source.notes,
                *_parted(source.reading, rows, len(split.task_names)),
                *self._left_out(source.understood),
                *self._without_effect(source.reading, rows),
                *rows.notes,
                *filter(None, [done.note]),
            ),
        )

    def _split(self, source: Source, observed: Tensor, rows: Rows) -> _Split:
        if source.reading.holds == "sequences":
            return _of_sequences(self._last_places(source, observed), rows)
        if source.reading.holds == "recordings":
            return _of_recordings(self._cut(source, observed), observed, rows)
        return self._of_recording(source, observed, rows)

    def _standardising(
        self, source: Source, observed: Tensor, rows: Rows, split: _Split, trained: Space | None
    ) -> Standardising:
        """By what trains, each step counted once; `trained` is the space of the weights that the data is for.

        Raises:
            DataError: images are to be standardised.
        """
        if source.reading.observed_as == "images":
            if self.standardise:
                raise source.misfit(
                    "data.standardise is for series and vectors, and images stay bytes 0–255 or brightness in 0 … 1. "
                    "Leave it out."
                )
            return Standardising()
        is_single, trains = source.reading.holds == "recording", ~rows.validates
        if is_single and not (rows.has_tasks or rows.has_split):
            end = self._cut(source, observed).num_steps(len(split.train.observed))
            trains = torch.arange(observed.shape[1]) < end
        noun = "channel" if source.reading.observed_as == "series" else "dimension"
        values = observed[0] if is_single else observed
        return standardising(self.standardise, values, trains, noun=noun, trained=trained)

    def _left_out(self, understood: Understood) -> tuple[str, ...]:
        """That of ready sequences not every observation is used."""
        if understood.reading.holds != "sequences":
            return ()
        used, there = self.context_length + 1, understood.header.shape[1]
        if there == used:
            return ()
        return (
            f"of the {there} observations of each sequence the last {used} count; data.context_length = {there - 1} "
            f'takes all, and data.holds = "recordings" cuts every {used} in a row out of them',
        )

    def _observed_in_table(self) -> ObservedAs | None:
        """What an observation of a table is, where its beginning says it: reading all of it may take minutes, and a
        recipe is checked before anything says that it is read."""
        path = data_path(self.path)
        if not self.path or not is_text_table(path):
            return None
        likely = {likeliest(Header((_MANY, num), "float32"), None, self.holds) for num in num_observed(path)}
        found = {None if reading is None else reading.observed_as for reading in likely}
        return found.pop() if len(found) == 1 else None

    def _source(self) -> Source:
        return Source.of(self.path, self.observed_as, self.holds, self._is_cut)

    def _is_cut(self, header: Header, reading: Reading) -> bool:
        """Whether the recipe says a stride, and recordings (R, time, …) have more steps than a sequence."""
        span = (self.context_length + 1) * (self.length if reading.observed_as == "series" else 1)
        return self.stride is not None and header.shape[1] > span

    def _without_effect(self, reading: Reading, rows: Rows) -> tuple[str, ...]:
        """Settings that the recipe says, and that nothing is done with, a line each."""
        is_cut, split = reading.holds != "sequences", "the file has its own split"
        in_time = "a single recording without tasks is split in time"
        reasons = {
            "stride": "" if is_cut else "it is for recordings, and these are ready sequences",
            "length": "" if is_cut and reading.observed_as == "series" else "it is for recordings as series",
            "validation_share": split if rows.has_split else "",
            "split_seed": split
            if rows.has_split
            else in_time
            if reading.holds == "recording" and not rows.has_tasks
            else "",
        }
        fields = attrs.fields_dict(type(self))
        return tuple(
            f"data.{name} = {getattr(self, name)} has no effect: {reason}"
            for name, reason in reasons.items()
            if reason and getattr(self, name) != fields[name].default
        )

    def _fingerprint(
        self, digest: str, reading: Reading, rows: Rows, splits: tuple[Sequences, Sequences], scales: Scales
    ) -> str:
        """Of what the file holds, how it is read, cut and scaled, and the split: what sequences have in common is read
        once."""
        how = f"{digest} {reading.text()} {self.stride}" + (f" {scales}" if scales else "")
        whole = hashlib.sha256(how.encode())
        for split in splits:
            whole.update(str([tuple(tensor.shape) for tensor in split.observations.tensors.values()]).encode())
        for tensor in (rows.tasks, rows.validates, *(split.tasks for split in splits)):
            whole.update(tensor.contiguous().numpy().data)
        return whole.hexdigest()

    def _last_places(self, source: Source, observed: Tensor) -> Tensor:
        """(S, T+1, …) of as many places or more.

        Raises:
            DataError: there are fewer.
        """
        num_places = observed.shape[1]
        if num_places <= self.context_length:
            remedy = (
                f"Set data.context_length = {num_places - 1}"
                if num_places > 1
                else "Give the context before the target too"
            )
            raise source.misfit(
                f"a sequence has {num_places} observation{'' if num_places == 1 else 's'}, target included, and "
                f"data.context_length = {self.context_length} asks for {self.context_length + 1}. {remedy}."
            )
        return observed[:, -self.context_length - 1 :]

    def _cut(self, source: Source, observed: Tensor, *, to_split: bool = False) -> Cut:
        is_series = source.reading.observed_as == "series"
        length = self.length if is_series else 1
        stride = self.stride if self.stride is not None else length
        cut = Cut(num_places=self.context_length + 1, length=length, is_windowed=is_series, stride=stride)
        shortage = cut.shortage(observed.shape[1], to_split=to_split)
        if shortage:
            raise source.misfit(shortage)
        return cut

    def _of_recording(self, source: Source, observed: Tensor, rows: Rows) -> _Split:
        """Of a recording (1, E, …), whose rows are its steps."""
        in_time = not rows.has_tasks and not rows.has_split
        cut = self._cut(source, observed, to_split=in_time)
        windows = cut.windows(observed)[0]
        last_step = torch.arange(len(windows)) * cut.stride + cut.span - 1
        if not in_time:
            return _of_steps(source, windows, rows, last_step, cut)
        end, first = cut.split_in_time(len(windows), self.validation_share)
        parts = (slice(0, end), slice(first, len(windows)))
        shares = (1 - self.validation_share, self.validation_share)
        train, validation = (
            _Part(
                observed=windows[part],
                tasks=stretches(len(windows[part]), share),
                labels={name: label[last_step[part]] for name, label in rows.labels.items()},
            )
            for part, share in zip(parts, shares, strict=True)
        )
        return _joined(train, validation, ("training stretch", "validation stretch"))


@attrs.frozen
class _Part:
    """One side of the split."""

    observed: Tensor
    """(S, T+1, …)"""
    tasks: Tensor
    """(S,) int64"""
    labels: Mapping[str, Tensor]


@attrs.frozen
class _Split:
    train: _Part
    validation: _Part
    task_names: tuple[str, ...]


def _space_of(reading: Reading, observed: Tensor, length: int, scales: Scales) -> Space:
    """Of observations with rows first, (rows, T+1 or E, …)."""
    shape = observed.shape[2:]
    if reading.observed_as == "images":
        return ImageSpace(channels=shape[0], height=shape[1], width=shape[2])
    if reading.observed_as == "vectors":
        return VectorSpace(dim=shape[0], standardised=scales)
    steps = shape[0] if reading.holds == "sequences" else length
    return SeriesSpace(length=steps, channels=shape[-1], standardised=scales)


def _parted(reading: Reading, rows: Rows, num_tasks: int) -> tuple[str, ...]:
    """That one recording is several by what it says of its steps."""
    if reading.holds != "recording" or not rows.has_tasks:
        return ()
    return (f"of {num_tasks:,} tasks, by {TASKS}: no sequence goes from one into the next",)


def _of_sequences(observed: Tensor, rows: Rows) -> _Split:
    """Of ready sequences (S, T+1, …), a row each."""
    train, validation = (
        _Part(observed[chosen], rows.tasks[chosen], {name: label[chosen] for name, label in rows.labels.items()})
        for chosen in (~rows.validates, rows.validates)
    )
    return _Split(train, validation, rows.task_names)


def _of_recordings(cut: Cut, observed: Tensor, rows: Rows) -> _Split:
    """Of recordings (R, E, …), a row each, whose sequences have their task and labels."""
    parts = []
    for chosen in (~rows.validates, rows.validates):
        windows = cut.windows(observed[chosen])
        each = windows.shape[1]
        labels = {name: label[chosen].repeat_interleave(each) for name, label in rows.labels.items()}
        parts.append(_Part(windows.flatten(0, 1), rows.tasks[chosen].repeat_interleave(each), labels))
    return _Split(parts[0], parts[1], rows.task_names)


def _of_steps(source: Source, windows: Tensor, rows: Rows, last_step: Tensor, cut: Cut) -> _Split:
    """Of the sequences (W, T+1, …) of a recording those whose steps are all of one task and one side.

    Raises:
        DataError: a side has none.
    """
    kept = within_one(rows.validates.long(), cut)
    if rows.has_tasks:
        kept &= within_one(rows.tasks, cut)
    parts = []
    for side, is_validation in (("training", False), ("validation", True)):
        chosen = (kept & (rows.validates[last_step] == is_validation)).nonzero().squeeze(1)
        if not len(chosen):
            raise DataError(
                f"{source.where}: no {cut.span} steps in a row are of one task and of {side}, and a sequence takes so "
                "many. Lower data.context_length, or give longer tasks."
            )
        ends = last_step[chosen]
        tasks = rows.tasks[ends] if rows.has_tasks else stretches(len(chosen), 0.5)
        labels = {name: label[ends] for name, label in rows.labels.items()}
        parts.append(_Part(windows[chosen], tasks, labels))
    if rows.has_tasks:
        return _Split(parts[0], parts[1], rows.task_names)
    return _joined(parts[0], parts[1], ("training stretch", "validation stretch"))


def _joined(train: _Part, validation: _Part, names: tuple[str, str]) -> _Split:
    """Two parts whose tasks are each counted from 0."""
    counts = [int(part.tasks.max()) + 1 for part in (train, validation)]
    task_names = [f"{name} {number}" for name, count in zip(names, counts, strict=True) for number in range(count)]
    return _Split(train, attrs.evolve(validation, tasks=validation.tasks + counts[0]), tuple(task_names))
