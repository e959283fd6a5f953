"""Checkpoints that somebody made to do harm, or that are of something else: each with sums that fit, where it can.

Whoever can write the files can compute their sums anew, so a manifest that verifies says nothing of what is in them.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from safetensors.torch import load_file, save

from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, file_sum, manifest_sum

TENSORS, VALUES = FILES

Seen = Literal["files", "model", "state"]
"""By whom: by everyone, by whoever looks at the model, or only by a run that goes on."""


Make = Callable[[Path], object]
"""Changes a checkpoint that was right."""


@attrs.frozen
class Hostile:
    """One family."""

    make: Make
    seen: Seen


class Poison:
    """A pickle of this one calls a function as it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("executed",))


def seal(folder: Path, **other: Any) -> None:
    """Write a manifest that fits the files, but for `other`."""
    files = {name: {"sha256": file_sum(folder / name), "bytes": (folder / name).stat().st_size} for name in FILES}
    manifest: dict[str, Any] = {"format": 1, "step": int(folder.name.removeprefix("step-")), "files": files, **other}
    (folder / MANIFEST).write_text(json.dumps({"sum": manifest_sum(manifest), **manifest}))


def manifest_with(**other: Any) -> Callable[[Path], None]:
    return lambda folder: seal(folder, **other)


def files_with(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        change(files)
        seal(folder, files=files)

    return make


def content(name: str, written: bytes, *, sealed: bool = True) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(written)
        if sealed and name != MANIFEST:
            seal(folder)

    return make


def values(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Other plain values."""

    def make(folder: Path) -> None:
        state = json.loads((folder / VALUES).read_bytes())
        change(state)
        (folder / VALUES).write_text(json.dumps(state))
        seal(folder)

    return make


def at(place: str, value: Any) -> Callable[[Path], None]:
    """Another value at a place in the plain values."""

    def change(state: dict[str, Any]) -> None:
        *above, last = place.split("/")
        for name in above:
            state = state[name]
        state[last] = value

    return values(change)


def tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Other tensors."""

    def make(folder: Path) -> None:
        found = dict(load_file(folder / TENSORS))
        change(found)
        (folder / TENSORS).write_bytes(save(found))
        seal(folder)

    return make


def tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Another tensor of a name that begins so."""

    def changed(found: dict[str, Any]) -> None:
        first = next(key for key in found if key.startswith(name))
        found[first] = change(found[first]).contiguous()

    return tensors(changed)


def header(text: bytes, length: int | None = None) -> Callable[[Path], None]:
    return content(TENSORS, struct.pack("<Q", len(text) if length is None else length) + text)


def without(*names: str) -> Callable[[Path], None]:
    """Entries left out, their tensors too."""

    def make(folder: Path) -> None:
        tensors(
            lambda found: [found.pop(key) for key in list(found) if key.startswith(tuple(f"{name}/" for name in names))]
        )(folder)
        values(lambda state: [state.pop(name) for name in names])(folder)

    return make


def in_place_of(name: str, put: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        put(folder / name)

    return make


def zipped(written: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, each in written.items():
            file.writestr(name, each)
    return target.getvalue()


def pickled() -> bytes:
    target = io.BytesIO()
    torch.save({"online": Poison()}, target)
    return target.getvalue()


def nested(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


DEEP = b"[" * 100_000 + b"]" * 100_000
HUGE = 10**30
NAN = math.nan
MOMENT = "optimizer/encoder"


def alias(state: dict[str, Any]) -> None:
    first, second = list(state["target"])[:2]
    state["target"][second] = state["target"][first]


def moment_in_place_of_step(found: dict[str, Any]) -> None:
    name = next(key for key in found if key.startswith(MOMENT) and key.endswith("/step"))
    found[name] = torch.tensor([1.0])


def every_moment(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def changed(found: dict[str, Any]) -> None:
        for name, value in found.items():
            if name.endswith("exp_avg_sq"):
                found[name] = change(value).contiguous()

    return tensors(changed)


_PROGRESS: dict[str, Make] = {
    "a step of -5": at("progress/step", -5),
    "the step of another folder": at("progress/step", 3),
    "a step as text": at("progress/step", "4"),
    "a step as a real number": at("progress/step", 4.0),
    "a step that is true": at("progress/step", True),
    "a step of 10^30": at("progress/step", HUGE),
    "a step that is NaN": at("progress/step", NAN),
    "an epoch that is NaN": at("progress/epoch", NAN),
    "an epoch that is null": at("progress/epoch", None),
    "a negative epoch": at("progress/epoch", -1.0),
    "a best step of later": at("progress/best", {"step": 9, "epoch": 1.0, "mrr": 0.1}),
    "a best that is a list": at("progress/best", []),
    "progress that is a list": at("progress", [4]),
}
_MANIFEST: dict[str, Make] = {
    "a deep manifest": content(MANIFEST, DEEP),
    "a manifest of a list": content(MANIFEST, b"[1, 2]"),
    "a manifest that is no JSON": content(MANIFEST, b"{'format': 1}"),
    "a manifest that is not UTF-8": content(MANIFEST, b'{"format": "\xff\xfe"}'),
    "an empty manifest": content(MANIFEST, b""),
    "a manifest of two megabytes": content(MANIFEST, b" " * (2 << 20) + b"{}"),
    "a manifest with a name twice": lambda folder: (folder / MANIFEST).write_text(
        (folder / MANIFEST).read_text().replace("{", '{"format": 1,', 1)
    ),
    "another format": manifest_with(format=7),
    "a format as text": manifest_with(format="1"),
    "a format that is true": manifest_with(format=True),
    "a format with escape sequences": manifest_with(format="\x1b]0;owned\x07"),
    "a manifest of step 10^30": manifest_with(step=HUGE),
    "a manifest of step NaN": manifest_with(step=NAN),
    "a manifest of step 4.0": manifest_with(step=4.0),
    "a manifest of another step": manifest_with(step=2),
    "a manifest with a further key": lambda folder: (folder / MANIFEST).write_text(
        json.dumps({**json.loads((folder / MANIFEST).read_bytes()), "note": "x"})
    ),
    "files as a list": manifest_with(files=list(FILES)),
    "a path above": files_with(lambda files: files.update({"../step-2/state.json": files.pop(VALUES)})),
    "an absolute path": files_with(lambda files: files.update({"/etc/passwd": files.pop(VALUES)})),
    "a manifest that lists itself": files_with(lambda files: files.update({MANIFEST: files[VALUES]})),
    "a file too few": files_with(lambda files: files.pop(VALUES)),
    "a file of no name": files_with(lambda files: files.update({"": files.pop(VALUES)})),
    "a name of a megabyte": files_with(lambda files: files.update({"a\n" * 200_000: files.pop(VALUES)})),
    "a size that does not match": files_with(lambda files: files[VALUES].update(bytes=1)),
    "a negative size": files_with(lambda files: files[VALUES].update(bytes=-1)),
    "a size of 10^30": files_with(lambda files: files[VALUES].update(bytes=HUGE)),
    "a sum that is null": files_with(lambda files: files[VALUES].update(sha256=None)),
    "a pipe for a manifest": in_place_of(MANIFEST, os.mkfifo),
    "a folder for a manifest": in_place_of(MANIFEST, os.mkdir),
    "a device for a manifest": in_place_of(MANIFEST, lambda path: path.symlink_to("/dev/zero")),
    "a link in a circle": in_place_of(MANIFEST, lambda path: path.symlink_to(path.name)),
}
_VALUES: dict[str, Make] = {
    "a deep state": content(VALUES, DEEP),
    "a state of 70 levels": values(lambda state: state.update(progress=nested(70))),
    "a state of a list": content(VALUES, b"[]"),
    "a state that is not UTF-8": content(VALUES, b'{"a": "\xff"}'),
    "an empty state": content(VALUES, b""),
    "a state with an entry twice": lambda folder: content(
        VALUES, (folder / VALUES).read_bytes().replace(b"{", b'{"progress": {"step": 4},', 1)
    )(folder),
    "a number of 5,000 digits": content(VALUES, b'{"progress": {"step": ' + b"9" * 5000 + b"}}"),
    "two names for one tensor": values(alias),
    "a tensor that is not there": at("online/x", {"__tensor__": "online/x"}),
    "a tensor named by a number": at("online/x", {"__tensor__": 5}),
    "a tensor named by a path": at("online/x", {"__tensor__": "../../../etc/passwd"}),
    "a tensor that nothing names": tensors(lambda found: found.update(extra=torch.zeros(2))),
    "a tensor too few": tensors(lambda found: found.pop(next(iter(found)))),
    "a pipe for a state": in_place_of(VALUES, os.mkfifo),
    "a device for a state": in_place_of(VALUES, lambda path: path.symlink_to("/dev/zero")),
}
_TENSORS: dict[str, Make] = {
    "no tensors": content(TENSORS, b""),
    "a header of 100 MB": header(b"{}", length=100 << 20),
    "a header of 2^63": header(b"{}", length=2**63),
    "a deep header": header(b'{"a":' * 100_000),
    "a header that is no JSON": header(b"not JSON"),
    "a tensor beyond the file": header(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "a shape that overflows": header(b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}'),
    "a negative shape": header(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'),
    "an unknown dtype": header(b'{"a":{"dtype":"SPARSE","shape":[0],"data_offsets":[0,0]}}'),
    "a pickle": content(TENSORS, pickled()),
    "a zip bomb": content(TENSORS, zipped({"a": bytes(1 << 24)})),
    "a truncated file": lambda folder: content(TENSORS, (folder / TENSORS).read_bytes()[:-8])(folder),
    "a longer file": lambda folder: content(TENSORS, (folder / TENSORS).read_bytes() + b"\0" * 8)(folder),
    "a pipe for tensors": in_place_of(TENSORS, os.mkfifo),
    "a folder for tensors": in_place_of(TENSORS, os.mkdir),
}
_MODEL: dict[str, Make] = {
    "no online network": without("online"),
    "no target": without("target"),
    "no losses": without("losses"),
    "no data shape": without("data_shape"),
    "a data shape that is a number": at("data_shape", 5),
    "a context of 10^12": at("data_shape/context_length", 10**12),
    "a context as text": at("data_shape/context_length", "four"),
    "a space of another kind": at("data_shape/space/kind", "image"),
    "a space of 10^9 cells": at("data_shape/space/side", 10**9),
    "a space that is a list": at("data_shape/space", [1, 2]),
    "roles that are a number": at("data_shape/roles", 5),
    "a plain number for weights": lambda folder: (
        tensors(lambda found: found.pop("online/quantizer.codebook"))(folder),
        at("online/quantizer.codebook", 1.0)(folder),
    ),
    "weights of another shape": tensor("online/encoder", lambda value: value.flatten()[:1]),
    "weights of no dimension": tensor("online/encoder", lambda value: value.flatten()[0]),
    "empty weights": tensor("online/encoder", lambda value: value[:0]),
    "weights of half precision": tensor("online/encoder", torch.Tensor.half),
    "weights of eight bits": tensor("online/encoder", lambda value: value.to(torch.float8_e4m3fn)),
    "complex weights": tensor("online/encoder", lambda value: value.to(torch.complex64)),
    "weights that are NaN": tensor("online/encoder", lambda value: value * NAN),
    "a target that is NaN": tensor("target/encoder", lambda value: value * NAN),
}
_STATE: dict[str, Make] = {
    "no optimizer": without("optimizer"),
    "no progress of a course": values(lambda state: state["progress"].pop("course")),
    "no vote": without("vote"),
    "a further entry": at("owned", {"a": 1}),
    "a further entry with escape sequences": at("\x1b[2J\u202e", {"a": 1}),
    "an empty optimizer": lambda folder: (
        tensors(lambda found: [found.pop(key) for key in list(found) if key.startswith("optimizer/")])(folder),
        at("optimizer", {})(folder),
    ),
    "an optimizer that is a list": lambda folder: (
        tensors(lambda found: [found.pop(key) for key in list(found) if key.startswith("optimizer/")])(folder),
        at("optimizer", [])(folder),
    ),
    "a moment of another shape": every_moment(lambda value: value.flatten()[:1]),
    "a moment of no dimension": every_moment(lambda value: value.flatten()[0]),
    "a moment of another dtype": every_moment(torch.Tensor.double),
    "an infinite moment": every_moment(lambda value: value + math.inf),
    "a moment that is NaN": every_moment(lambda value: value * NAN),
    "a negative second moment": every_moment(lambda value: value - 1),
    "a step count of one dimension": tensors(moment_in_place_of_step),
    "a vote of one dimension": tensor("vote/", lambda value: value.reshape(1)),
    "a vote of real numbers": tensor("vote/", torch.Tensor.float),
    "a loss scale of zero": tensor("loss_scale/scale", lambda value: value * 0),
    "meters of a negative step": at("meters/steps", -1),
    "meters of a step as text": at("meters/steps", "1"),
    "meters with names that are numbers": at("meters/names", [1, 2]),
    "meters without sums for their names": at("meters/names", ["a", "b"]),
    "rows that are NaN": at("meters/rows", NAN),
    "a course of no batch": at("progress/course/batch_size", 0),
    "a course of a batch beyond the data": at("progress/course/batch_size", 10**9),
    "a course of negative epochs": at("progress/course/epochs", -3),
    "a course from later": at("progress/course/step", 5),
    "a course of a list": at("progress/course", [1, 2, 3]),
    "a place that is no place": at("progress/course/position", {"epoch": 0}),
    "a place beyond the data": at("progress/course/position", {"epoch": 0, "drawn": 10**9}),
    "an epoch of elsewhere": at("progress/epoch", 0.25),
    "a best without its figure": at("progress/best", {"step": 1, "epoch": 0.5}),
    "a best figure that is NaN": at("progress/best", {"step": 1, "epoch": 0.5, "mrr": NAN}),
}

CORPUS: dict[str, Hostile] = {
    **{
        name: Hostile(make, "files")
        for part in (_PROGRESS, _MANIFEST, _VALUES, _TENSORS)
        for name, make in part.items()
    },
    **{name: Hostile(make, "model") for name, make in _MODEL.items()},
    **{name: Hostile(make, "state") for name, make in _STATE.items()},
}
"""By what is wrong."""
