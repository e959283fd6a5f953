"""Run directories with one thing wrong in each: files that are missing, cut, of another type, or say what cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

Corrupt = Callable[[Path], None]

NEWEST = "checkpoints/NEWEST"
FILES = (
    "recipe.toml", "status.json", "metrics.jsonl", "events.jsonl", "environment.json", "verdict.json",
    "diagnostics.jsonl", "console.log", "rollback.json", "run.lock", f"{NEWEST}/manifest.json", f"{NEWEST}/state.json",
    f"{NEWEST}/tensors.safetensors",
)  # fmt: skip

FURTHER = (
    "metrics.rank1.jsonl", "diagnostics.rank1.jsonl", ".monitor-cache", ".monitor-cache/metrics-1.columns", "tags.json",
    "checkpoints", "checkpoints/step-9999", "control", "control/rollback-1.json", "bad_batches",
    "bad_batches/step-1.json",
)  # fmt: skip
"""Names that a run may have, or that something looks for."""

CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe{\x80}\n",
    "zeros": bytes(4096),
    "a list": b"[1, 2]\n",
    "a number": b"-7\n",
    "a text": b'"said"\n',
    "null": b"null\n",
    "an empty object": b"{}\n",
    "nested": b"[" * 50_000 + b"]" * 50_000 + b"\n",
    "one line": b"x" * 3_000_000,
}

VALUES: dict[str, Any] = {
    "negative": -1,
    "huge": 10**400,
    "beyond 64 bits": 2**80,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "of the year 1": -62_135_596_800,
    "of the year 10^9": 31_556_952_000_000_000,
    "a text": "said",
    "a long text": "said " * 2000,
    "a list": [1, "two", None],
    "a table": {"of": {"tables": 1}},
    "null": None,
    "true": True,
}
"""What is put in the place of every number, or of every text, of a JSON file."""


def corpus() -> dict[str, Corrupt]:
    """All of them, by what is wrong."""
    return dict(_cases())


def sample() -> dict[str, Corrupt]:
    """Some of them: every file and most contents and values, and all that are of no one file."""
    return {
        name: case
        for number, (name, case) in enumerate(corpus().items())
        if number % 13 == 0 or ": " not in name or name.endswith("a pipe")
    }


def _cases() -> Iterator[tuple[str, Corrupt]]:
    for name in FILES:
        file = name.rpartition("/")[2]
        yield f"{file}: missing", _at(name, _removed)
        yield f"{file}: cut", _at(name, _cut)
        yield f"{file}: a folder", _at(name, _folder)
        for what, content in CONTENTS.items():
            yield f"{file}: {what}", _at(name, partial(_write, content=content))
    for name in (*FILES, *FURTHER):
        for what, put in NO_FILES.items():
            yield f"{name.rpartition('/')[2]}: {what}", _at(name, put)
    for name in FILES:
        file = name.rpartition("/")[2]
        if name.endswith((".json", ".jsonl")):
            for what, value in VALUES.items():
                yield f"{file}: numbers {what}", _at(name, partial(_changed, kind=int | float, value=value))
                yield f"{file}: texts {what}", _at(name, partial(_changed, kind=str, value=value))
    yield "a state that is none", lambda run: _field(run / "status.json", "state", "sleeping")
    yield "a state that goes on", lambda run: _field(run / "status.json", "state", "running")
    yield "rolled back into itself", lambda run: _rolled_back(run, run.name)
    yield "rolled back into a folder above", lambda run: _rolled_back(run, "../..")
    yield "its own parent", lambda run: _write(run / "rollback.json", json.dumps({"parent": run.name}).encode())
    yield "no checkpoints", lambda run: _removed(run / "checkpoints")
    yield "checkpoints that are a file", lambda run: _in_its_place(run / "checkpoints")
    yield "a checkpoint of a huge step", lambda run: (run / "checkpoints" / f"step-{10**30}").mkdir()
    yield "a checkpoint that is a file", lambda run: _write(run / "checkpoints" / "step-9999", b"")
    yield "rows in another order", lambda run: _reversed(run / "metrics.jsonl")
    yield "a rank of a huge number", lambda run: _write(run / "metrics.rank999999999.jsonl", b'{"step": 1}\n')
    yield "a rank that is a folder", lambda run: (run / "metrics.rank1.jsonl").mkdir()
    yield "control that is a file", lambda run: _in_its_place(run / "control")
    yield "a damaged cache", lambda run: _write(run / ".monitor-cache" / "metrics-1.columns", b"jepa columns 2")
    yield (
        "a recipe for things that are not installed",
        lambda run: _write(run / "recipe.toml", b'[data]\nkind = "gone"\n[encoder]\nkind = "gone"\n[losses.gone]\n'),
    )
    yield (
        "rules that cannot be read",
        lambda run: _write(
            run / "recipe.toml", b'[[watch.must]]\nid = 3\nwhen = "((("\n[[watch.abort]]\n[watch.judge]\nx = 1\n'
        ),
    )


def newest(run: Path) -> Path:
    """The newest checkpoint."""
    return max((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))


def _at(name: str, change: Callable[[Path], object]) -> Corrupt:
    """A change of one file."""

    def corrupt(run: Path) -> None:
        change(newest(run) / name.rpartition("/")[2] if name.startswith(NEWEST) else run / name)

    return corrupt


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _in_its_place(path: Path) -> None:
    _removed(path)
    path.write_bytes(b"x")


def _cut(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b'{"parent": "gone'
    path.write_bytes(content[: len(content) // 2])


def _pipe(path: Path) -> None:
    _nothing(path)
    os.mkfifo(path)


def _linked(path: Path, to: str) -> None:
    _nothing(path)
    path.symlink_to(path.name if to == "itself" else to)


def _nothing(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    _removed(path)


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _changed(path: Path, kind: Any, value: Any) -> None:
    """Every value of a kind is another one; in a file of lines, every line's."""
    text = path.read_text() if path.exists() else '{"parent": "gone", "step": 3}\n'
    is_lines = path.suffix == ".jsonl"
    records = [json.loads(line) for line in (text.splitlines() if is_lines else [text])]
    path.write_text("".join(json.dumps(_replaced(record, kind, value)) + "\n" for record in records))


def _replaced(node: Any, kind: Any, value: Any) -> Any:
    if isinstance(node, dict):
        return {key: _replaced(entry, kind, value) for key, entry in node.items()}
    if isinstance(node, list):
        return [_replaced(entry, kind, value) for entry in node]
    return value if isinstance(node, kind) and not isinstance(node, bool) else node


def _field(path: Path, name: str, value: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))


def _rolled_back(run: Path, child: str) -> None:
    _field(run / "status.json", "state", "rolled_back")
    _field(run / "status.json", "child", child)


def _reversed(path: Path) -> None:
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


def _removed(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _removed(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


NO_FILES: dict[str, Corrupt] = {
    "a pipe": _pipe,
    "a link to zeros": partial(_linked, to="/dev/zero"),
    "a link to itself": partial(_linked, to="itself"),
    "a link to nothing": partial(_linked, to="/nowhere/at/all"),
}
