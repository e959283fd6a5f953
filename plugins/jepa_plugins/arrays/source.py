"""What the dataset of arrays is made from: a file, what its observations are read as, and their numbers, checked.

Shapes: S sequences of T + 1 observations, R recordings of E steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import attrs
import torch
from torch import Tensor

from jepa_core.errors import DataError, RecipeError
from jepa_core.task_split import TaskSplit
from jepa_plugins.arrays.files import ArrayFile, Header
from jepa_plugins.arrays.names import LABEL_PREFIX, OBSERVATIONS, ROW_ARRAYS, is_of_rows
from jepa_plugins.arrays.readings import Holds, ObservedAs, Reading
from jepa_plugins.arrays.rows import STEP, Rows, check_types
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
        if OBSERVATIONS not in headers:
            there = ", ".join(sorted(headers)) or "nothing"
            raise DataError(
                f"{file.path}: the array {OBSERVATIONS!r} is missing; the file has {there}. Save it under that name: "
                f"numpy.savez(FILE, {OBSERVATIONS}=…)."
            )
        header = headers[OBSERVATIONS]
        understood = understand(_where(file), header, observed_as, holds, partial(is_cut, header))
        notes = (*understood.notes(), *file.notes())
        names = tuple(sorted(filter(is_of_rows, headers)))
        check_types(str(file.path), {name: headers[name] for name in names})
        others = sorted(headers.keys() - {*names, OBSERVATIONS})
        if others:
            notes = (*notes, f"not read: {', '.join(others)}; there are {', '.join(ROW_ARRAYS)} and {LABEL_PREFIX}NAME")
        return Source(file, understood, names, notes)

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
        arrays = self.file.read((OBSERVATIONS, *self.names))
        stored = arrays.pop(OBSERVATIONS)
        observed = self.reading.arranged(stored)
        if self.reading.observed_as == "images":
            observed = self._as_pixels(observed)
        observed = observed.float()
        _check_finite(self.where, observed, self.reading)
        num_rows = observed.shape[1] if self.reading.holds == "recording" else len(observed)
        row = {"sequences": "sequence", "recordings": "recording", "recording": STEP}[self.reading.holds]
        rows = Rows.of(str(self.file.path), arrays, num_rows, row, split, doubt=self.understood.doubt())
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


def _check_finite(where: str, observed: Tensor, reading: Reading) -> None:
    """
    Raises:
        DataError: a value is NaN, infinite or too large for float32.
    """
    rows = observed[0] if reading.holds == "recording" else observed
    num_wrong, first = not_finite(rows)
    if first is None:
        return
    value, place = float(rows[first]), list(first)
    raise DataError(
        f"{where}: {num_wrong:,} of {observed.numel():,} values are not finite numbers in float32, the first, {value}, "
        f"in {reading.observed_as} at {place}. Fill them in (for a recording by what is between its neighbours), or "
        "cut the recording there."
    )


def _digest(stored: Tensor) -> str:
    """SHA-256 of type and values."""
    digest = hashlib.sha256(f"{stored.dtype} {tuple(stored.shape)}".encode())
    for part in parts_of(stored):
        digest.update(part.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
