"""What the dataset of arrays is made from: a file, what its observations are read as, and their numbers, checked.

Shapes: S sequences of T + 1 observations, R recordings of E steps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial

import attrs
import torch
from torch import Tensor

from jepa_core.errors import DataError, RecipeError
from jepa_core.task_split import TaskSplit
from jepa_core.visible_text import clean
from jepa_plugins.arrays.files import ArrayFile, Header
from jepa_plugins.arrays.names import LABEL_PREFIX, OBSERVATIONS, ROW_ARRAYS, is_of_rows
from jepa_plugins.arrays.readings import Holds, ObservedAs, Reading
from jepa_plugins.arrays.rounding import notes_of_array
from jepa_plugins.arrays.rows import STEP, Rows, check_types
from jepa_plugins.arrays.table_numbers import LARGEST
from jepa_plugins.arrays.understood import Understood, understand
from jepa_plugins.data_path import data_path
from jepa_plugins.vectors.real_values import not_finite, parts_of

_PATH_WANTED = """\
data.path is empty: data.kind = "arrays" reads arrays from a file of yours.
Give it with --set data.path=FILE.npz (or .npy, .safetensors, .csv), or in the recipe's table [data].
An .npz or .safetensors file has the array "observations", an .npy file is it: frames (time, H, W[, C]), a recording \
(time, channels), vectors (time, D), several recordings (R, time, …), or ready sequences (S, T+1, …).
A table of numbers (.csv, .tsv, .txt) is a recording, a line for each step.
Save an array with numpy.savez(FILE, observations=…). Without a file: data.kind = "series_demo" generates recordings."""


@attrs.frozen
class Source:
    """A file, and what its observations are read as."""

    file: ArrayFile
    understood: Understood
    array: str
    """The name of the observations in the file."""
    names: tuple[str, ...]
    """Arrays beside the observations that are read."""
    notes: tuple[str, ...]

    @staticmethod
    def of(
        path: str,
        observed_as: ObservedAs | None,
        holds: Holds | None,
        is_cut: Callable[[Header, Reading], bool] = lambda _header, _reading: False,
    ) -> Source:
        """By the headers alone; `is_cut` as of `understand`.

        Raises:
            RecipeError, DataError: there is no such file, or nothing in it that can be read.
        """
        if not path:
            raise RecipeError(_PATH_WANTED)
        file = ArrayFile(data_path(path))
        headers = file.headers()
        array = _observed(file, headers)
        header = headers[array]
        understood = understand(_where(file), header, observed_as, holds, partial(is_cut, header))
        notes = (*understood.notes(), *file.notes())
        names = tuple(sorted(filter(is_of_rows, headers)))
        check_types(str(file.path), {name: headers[name] for name in names})
        others = sorted(headers.keys() - {*names, array})
        if array != OBSERVATIONS:
            notes = (*notes, f"the array {array!r} is taken for the {OBSERVATIONS}, since there is no other")
        if others:
            notes = (*notes, f"not read: {', '.join(others)}; there are {', '.join(ROW_ARRAYS)} and {LABEL_PREFIX}NAME")
        return Source(file, understood, array, names, notes)

    @property
    def reading(self) -> Reading:
        """What the observations are read as."""
        return self.understood.reading

    @property
    def where(self) -> str:
        """What errors of the observations begin with."""
        return _where(self.file)

    def misfit(self, problem: str) -> DataError:
        """An error that a wrong reading may have caused: it says what was understood, and how to say otherwise."""
        return DataError(f"{self.file.path}: {self.understood.sentence()}: {problem}{self.understood.doubt()}")

    def loaded(self, split: TaskSplit) -> tuple[Tensor, Rows, str]:
        """Float32 observations with rows first, what is said of the rows, and SHA-256 of the observations as stored.

        `split` is for a file that says tasks at most.

        Raises:
            DataError: values are not finite, pictures not in 0 … 1, or rows' numbers do not fit.
        """
        arrays = self.file.read((self.array, *self.names))
        stored = arrays.pop(self.array)
        observed = self.reading.arranged(stored)
        if self.reading.observed_as == "images":
            observed = self._as_pixels(observed)
        _check_finite(self.where, stored, self.understood)
        observed = observed.float()
        num_rows = observed.shape[1] if self.reading.holds == "recording" else len(observed)
        row = {"sequences": "sequence", "recordings": "recording", "recording": STEP}[self.reading.holds]
        rows = Rows.of(str(self.file.path), arrays, num_rows, row, split, doubt=self.understood.doubt())
        if self.reading.observed_as != "images":
            noun = "channel" if self.reading.observed_as == "series" else "dimension"
            rows = attrs.evolve(rows, notes=(*rows.notes, *notes_of_array(stored, noun)))
        return observed, rows, _digest(stored)

    def _as_pixels(self, observed: Tensor) -> Tensor:
        """Bytes as brightness 0 … 1; what is brightness already, checked.

        Raises:
            DataError: they are neither.
        """
        if observed.dtype == torch.uint8:
            return observed.float().div_(255)
        if not (observed.is_floating_point() or observed.dtype == torch.bool):
            raise self.misfit(
                "images are bytes 0–255 (uint8) or float32 in 0 … 1. Convert them with .astype(numpy.uint8)."
            )
        if observed.is_floating_point():
            ranges = torch.tensor([[float(part.amin()), float(part.amax())] for part in parts_of(observed)])
            least, most = float(ranges[:, 0].amin()), float(ranges[:, 1].amax())
            if least < 0 or most > 1:
                raise self.misfit(
                    f"they range over {least:g} … {most:g}, and images are bytes 0–255 (uint8) or brightness in 0 … 1. "
                    "Save them as uint8, or divide by their largest value."
                )
        return observed


def _where(file: ArrayFile) -> str:
    return f"{file.path}: {OBSERVATIONS}"


def _observed(file: ArrayFile, headers: Mapping[str, Header]) -> str:
    """The name of the array that holds the observations: the one that is called so, or the only one there is.

    Raises:
        DataError: there is none, or several that it could be.
    """
    others = {name: header for name, header in headers.items() if not is_of_rows(name)}
    if OBSERVATIONS in others:
        return OBSERVATIONS
    if len(others) == 1:
        return next(iter(others))
    there = ", ".join(f"{clean(name, 40)} {header.shape}" for name, header in sorted(headers.items())) or "no array"
    if not others:
        raise DataError(
            f"{file.path}: the array {OBSERVATIONS!r} is missing; the file has {there}. Save it under that name: "
            f"numpy.savez(FILE, {OBSERVATIONS}=…)."
        )
    largest = max(sorted(others), key=lambda name: math.prod(others[name].shape))
    raise DataError(
        f"{file.path}: no array is called {OBSERVATIONS!r}; the file has {there}. Save the one that is to be observed "
        f"under that name, such as {largest}: {file.renaming(largest)}."
    )


def _check_finite(where: str, stored: Tensor, understood: Understood) -> None:
    """Look at what a file holds, (as the reading's dimensions).

    Raises:
        DataError: a value is NaN, infinite or too large for float32.
    """
    num_wrong, first = not_finite(stored)
    if first is None:
        return
    value, place = float(stored[first]), list(first)
    counted = f"{num_wrong:,} of {stored.numel():,} values {'is' if num_wrong == 1 else 'are'}"
    at = f"{value:.6g} at {place} of ({', '.join(understood.reading.dims)})"
    if math.isfinite(value):
        problem = f"{counted} beyond what float32 holds, {LARGEST:.2g}, the first, {at}. Correct them, or divide all."
    elif math.isinf(value) and understood.header.dtype == "float16":
        problem = f"{counted} infinite, the first, {at}: float16 holds numbers up to 65,504. Save them as float32."
    else:
        problem = (
            f"{counted} not finite, the first, {at}. Fill them in (for a recording by what is between its neighbours), "
            "or cut the recording there."
        )
    raise DataError(f"{where}: {problem}")


def _digest(stored: Tensor) -> str:
    """SHA-256 of type and values."""
    digest = hashlib.sha256(f"{stored.dtype} {tuple(stored.shape)}".encode())
    for part in parts_of(stored):
        digest.update(part.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
