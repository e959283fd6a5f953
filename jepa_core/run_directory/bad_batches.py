"""The batches in which something was not finite: which sequences they were, and their tensors, for whoever looks later.

In `bad_batches/` of the run directory, a JSON file for each and, where they are not too large, the tensors as
safetensors beside it. Written under a temporary name and renamed, the tensors first: what has its JSON is whole. Each
rank writes its own part. Loads no torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.plain_files import folder_descriptor, let_go, opened_folder, read_plain
from jepa_core.run_directory.layout import BAD_BATCHES
from jepa_core.run_directory.replacing import put_aside, replace_in

MOST_BATCHES = 3
"""Of a rank; later ones tell no more."""
MOST_BYTES = 64 << 20
"""Of a batch's tensors."""
_MOST_JSON = 4 << 20
_MOST_FILES = 1000
"""Entries of a folder that are looked at."""
_NAME = re.compile(r"step-(0|[1-9][0-9]{0,17})(?:\.rank-(0|[1-9][0-9]{0,8}))?\.json")


@attrs.frozen(kw_only=True)
class BadBatch:
    """A rank's part of the batch of one optimizer step."""

    step: int
    """Counted from 1, as in events and rows."""
    epoch: float = 0.0
    rank: int = 0
    ranks: int = 1
    seed: int = 0
    """`train.seed`: with step and micro-batch it fixes which sequences are drawn, and what is drawn for them."""
    cause: str = ""
    """The first tensor that was not finite, in words."""
    micro: int | None = None
    """The micro-batch in which it was, from 0; None where that is not known."""
    sequences: tuple[tuple[int, ...], ...] = ()
    """For each micro-batch of the step, the rows of the training split that this rank had."""
    at_fault: tuple[int, ...] = ()
    """Those rows that alone gave values that are not finite; empty where they cannot be told apart."""
    tasks: tuple[str, ...] = ()
    """What those rows are of, else all of the micro-batch, without repetition."""
    tensors: str = ""
    """File of the tensors, beside this one; empty where there were too many bytes."""
    sha256: str = ""
    """Of that file."""
    path: Path | None = None
    """Of the JSON, once it is read."""

    @property
    def name(self) -> str:
        """Of its files, without suffix."""
        return f"step-{self.step}" + (f".rank-{self.rank}" if self.ranks > 1 else "")

    @property
    def tensors_path(self) -> Path | None:
        """Of the tensors; None where there are none."""
        return self.path.with_name(self.tensors) if self.path is not None and self.tensors else None

    @property
    def rows(self) -> tuple[int, ...]:
        """Those at fault, else all of the micro-batch that is, else all."""
        if self.at_fault:
            return self.at_fault
        if self.micro is not None and self.micro < len(self.sequences):
            return self.sequences[self.micro]
        return tuple(row for rows in self.sequences for row in rows)


def write_bad_batch(run: Path, batch: BadBatch, tensors: bytes = b"") -> str | None:
    """Keep a batch; its JSON's path below the run directory. None where this rank has kept enough of others.

    Raises:
        OSError: it could not be written. What was there before still is.
    """
    with opened_folder(run) as folder:
        put_aside(folder, BAD_BATCHES, is_wanted=stat.S_ISDIR)
        with contextlib.suppress(FileExistsError):
            os.mkdir(BAD_BATCHES, dir_fd=folder)
        inner = folder_descriptor(Path(BAD_BATCHES), folder=folder)
    try:
        rank = batch.rank if batch.ranks > 1 else None
        with os.scandir(inner) as entries:
            own = {name for name, of in _names(entry.name for entry in entries) if of == rank}
        if len(own - {f"{batch.name}.json"}) >= MOST_BATCHES:
            return None
        if tensors and len(tensors) <= MOST_BYTES:
            batch = attrs.evolve(batch, tensors=f"{batch.name}.safetensors", sha256=hashlib.sha256(tensors).hexdigest())
            replace_in(inner, batch.tensors, tensors)
        content = attrs.asdict(batch, filter=lambda attribute, _: attribute.name != "path")
        replace_in(inner, f"{batch.name}.json", orjson.dumps(content))
    finally:
        let_go(inner)
    return f"{BAD_BATCHES}/{batch.name}.json"


def bad_batches(run: Path) -> tuple[BadBatch, ...]:
    """Those that were kept, by step and rank; what is damaged is left out."""
    try:
        with opened_folder(run / BAD_BATCHES, follow_links=False) as folder, os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_FILES), strict=False)]
    except OSError:
        return ()
    found = []
    for name, _ in _names(names):
        batch = _read(run / BAD_BATCHES / name)
        if batch is not None:
            found.append(batch)
    return tuple(sorted(found, key=lambda batch: (batch.step, batch.rank)))


def _names(names: Iterable[str]) -> Iterator[tuple[str, int | None]]:
    """Those of batches, with the rank that they name."""
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            yield name, None if match[2] is None else int(match[2])


def _read(path: Path) -> BadBatch | None:
    try:
        recorded = orjson.loads(read_plain(path, _MOST_JSON, follow_links=False))
    except (OSError, ValueError):
        return None
    match = _NAME.fullmatch(path.name)
    if not isinstance(recorded, dict) or match is None:
        return None
    tensors = f"{path.stem}.safetensors"
    return BadBatch(
        step=int(match[1]),
        epoch=_real(recorded.get("epoch")),
        rank=int(match[2] or 0),
        ranks=2 if match[2] else 1,
        seed=_whole(recorded.get("seed")) or 0,
        cause=_text(recorded, "cause"),
        micro=_whole(recorded.get("micro")),
        sequences=tuple(_wholes(rows) for rows in _list(recorded.get("sequences"))),
        at_fault=_wholes(recorded.get("at_fault")),
        tasks=tuple(task for task in _list(recorded.get("tasks")) if isinstance(task, str)),
        # Whatever is written there: only the file beside it is meant.
        tensors=tensors if recorded.get("tensors") == tensors else "",
        sha256=_text(recorded, "sha256"),
        path=path,
    )


def _text(recorded: Mapping[str, Any], key: str) -> str:
    value = recorded.get(key)
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _wholes(value: object) -> tuple[int, ...]:
    return tuple(number for each in _list(value) if (number := _whole(each)) is not None)


def _real(value: object) -> float:
    is_real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_real else 0.0  # type: ignore[arg-type]  # it is one
