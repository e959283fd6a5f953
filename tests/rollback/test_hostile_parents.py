"""Parents from somebody else: nothing from outside a run's directory comes into its child, nothing is left half-made.

Whoever can write into a run directory may have put anything there; its checkpoints may verify all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.errors import JepaError
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.planning import plan_rollback
from jepa_core.run_directory.stored_checkpoints import FILES, MANIFEST, file_sum, manifest_sum

SECRET = b'{"step": 1, "secret": "from outside"}\n'


def rolled_back(parent: Path) -> Path:
    return make_child(plan_rollback(parent, installed(), to=3, set={"train": {"clip_norm": 1.0}})).path


def resigned(parent: Path, **progress: Any) -> None:
    """The checkpoint with another progress, and sums that fit."""
    folder = parent / "checkpoints" / "step-3"
    state = orjson.loads((folder / FILES[1]).read_bytes())
    state["progress"] |= progress
    (folder / FILES[1]).write_bytes(orjson.dumps(state))
    manifest = orjson.loads((folder / MANIFEST).read_bytes())
    path = folder / FILES[1]
    manifest["files"][FILES[1]] |= {"sha256": file_sum(path), "bytes": path.stat().st_size}
    manifest["sum"] = manifest_sum(manifest)
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest))


def linked(name: str) -> Callable[[Path, Path], None]:
    def do(parent: Path, outside: Path) -> None:
        (parent / name).unlink(missing_ok=True)
        (parent / name).symlink_to(outside)

    return do


def unlisted(parent: Path, outside: Path) -> None:
    (parent / "checkpoints" / "step-3" / "more").symlink_to("/dev/zero")
    (parent / "checkpoints" / "step-3" / "secret").symlink_to(outside)


def pipe(parent: Path, outside: Path) -> None:
    (parent / "diagnostics.jsonl").unlink()
    os.mkfifo(parent / "diagnostics.jsonl")


PAST = {"parent": "p", "scenario": "s", "title": "", "from_step": 1, "to_step": 1, "changes": ["c" * 950]}


def own_ancestor(parent: Path, outside: Path) -> None:
    told = {"parent": parent.name, "parent_path": str(parent.resolve()), "generation": 2**64 - 1}
    (parent / "rollback.json").write_bytes(orjson.dumps(told))


HOSTILE = {
    "a link for its rows": linked("metrics.jsonl"),
    "a link for the rows of a rank": linked("metrics.rank1.jsonl"),
    "a link for its diagnostics": linked("diagnostics.jsonl"),
    "a link for its events": linked("events.jsonl"),
    "a pipe": pipe,
    "files beside a checkpoint's": unlisted,
    "itself for a parent": own_ancestor,
    "a best checkpoint elsewhere": lambda parent, _outside: resigned(parent, best={"step": "../../../etc"}),
    "a best checkpoint of a step without end": lambda parent, _outside: resigned(parent, best={"step": 10**18}),
    "no table for the best": lambda parent, _outside: resigned(parent, best=[1]),
    "an epoch that is no number": lambda parent, _outside: resigned(parent, epoch="\x1b[31m"),
    "a recipe that is a link": linked("recipe.toml"),
    "an environment that is a list": lambda parent, _outside: (parent / "environment.json").write_text("[1]") and None,
    "an environment without an end": lambda parent, _outside: (
        (parent / "environment.json").write_text(f'{{"a": {"[" * 900 + "]" * 900}}}') and None
    ),
    "a story without an end": lambda parent, _outside: (
        (parent / "rollback.json").write_bytes(orjson.dumps({"parent": "x", "before": [PAST] * 3950})) and None
    ),
    "a status without steps": lambda parent, _outside: (
        (parent / "status.json").write_text('{"state": "finished", "epoch": 5, "step": 0}') and None
    ),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_parent_gives_a_child_of_its_own_or_a_refusal_in_words(
    parent: Path, tmp_path: Path, spoil: Callable[[Path, Path], None]
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    spoil(parent, outside)
    try:
        child = rolled_back(parent)
    except JepaError:
        assert list(parent.parent.iterdir()) == [parent]
    else:
        assert read_lineage(child) is not None
        files = [path for path in child.rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in files)
        assert all(b"from outside" not in path.read_bytes() for path in files)
        assert {path.name for path in (child / "checkpoints" / "step-3").iterdir()} == {*FILES, MANIFEST}
    assert outside.read_bytes() == SECRET


@pytest.mark.parametrize("key", ["rows", "set", "more"])
def test_evidence_without_an_end_is_none(parent: Path, key: str) -> None:
    nested = "[" * 900 + "]" * 900
    told = f'{{"name": "abort X", "severity": "warning", "step": 5, "evidence": {{"{key}": [{nested}]}}}}\n'
    with (parent / "events.jsonl").open("a") as events:
        events.write(told)
    rollback = plan_rollback(parent, installed(), scenario="X", to=3, set={"train": {"clip_norm": 1.0}})
    assert orjson.loads(rollback.plan.to_json())["evidence"] == {}
    make_child(rollback)
