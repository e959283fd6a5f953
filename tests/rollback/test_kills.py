"""A rollback whose process is killed: nothing of it is left, or all of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.planning import Rollback, plan_rollback
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.stored_checkpoints import stored_checkpoints
from tests.rollback.test_child import start


def plan_of(parent: Path) -> Rollback:
    return plan_rollback(parent, installed(), to=3, set={"train": {"clip_norm": 1.0}})


def contents(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "run.lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def assert_whole(child: Path) -> None:
    (checkpoint,) = stored_checkpoints(child / "checkpoints")
    assert checkpoint.verify() is None
    assert [row["step"] for row in RunReader(child).rows()] == [1, 2, 3]
    assert read_lineage(child) is not None
    assert load_recipe(child / "recipe.toml", registry=installed()).recipe.train.clip_norm == 1.0
    assert RunReader(child).state() == "interrupted"


@pytest.fixture
def parent(tiny_recipe_file: Path) -> Path:
    return start(tiny_recipe_file, "checkpoint.every_steps=3").path


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_leaves_no_child_or_a_whole_one_and_the_next_clears_up(
    parent: Path, tmp_path: Path, stride: int
) -> None:
    """Killed before every so many'th of its file operations."""
    before = contents(parent)
    (killed := tmp_path / "killed").mkdir()
    driver = [sys.executable, "-m", "tests.rollback.killed_rollback", str(parent.parent), str(killed), str(stride)]
    subprocess.run(driver, check=True, cwd=Path(__file__).parents[2], timeout=120)
    stories = [told(runs_dir, parent.name, before) for runs_dir in sorted(killed.iterdir())]
    assert {"nothing", "all"} <= set(stories)
    assert "child" in stories or stride > 1
    assert stories == sorted(stories, key=["nothing", "child", "all"].index)


def told(runs_dir: Path, name: str, before: dict[str, bytes]) -> str:
    """What a killed process left, once the next rollback of the same run was tried."""
    parent = runs_dir / name
    children = [run for run in runs_in(runs_dir) if run != parent]
    marked = RunReader(parent).state() == "rolled_back"
    if not children:
        assert not marked
        assert contents(parent) == before
        make_child(plan_of(parent))
    else:
        assert_whole(children[0])
    if children and not marked:
        with pytest.raises(RunDirectoryError, match=f"{children[0].name} goes on in its place"):
            make_child(plan_of(parent))
    status = RunReader(parent).status()
    assert status is not None
    assert status.state == "rolled_back"
    (child,) = (run for run in runs_in(runs_dir) if run != parent)
    assert_whole(child)
    assert status.child == child.name
    assert not list(runs_dir.glob(".*"))
    return "all" if marked else "child" if children else "nothing"


def test_what_others_prepare_is_left_alone(parent: Path) -> None:
    runs_dir = parent.parent
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine, elsewhere, left = (
        runs_dir / f".tiny-1.prepared-{pid}-0123abcd@{host}"
        for host, pid in (
            (socket.gethostname(), os.getpid()),
            ("elsewhere", gone.pid),
            (socket.gethostname(), gone.pid),
        )
    )
    for path in (mine, elsewhere, left):
        (path / "checkpoints").mkdir(parents=True)
    make_child(plan_of(parent))
    assert (mine.exists(), elsewhere.exists(), left.exists()) == (True, True, False)
