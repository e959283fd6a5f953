"""A rollback whose process is killed: nothing of it is left, or all of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.engine.checkpoint import same_tree
from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.lineage import read_lineage
from jepa_core.rollback.planning import Rollback, plan_rollback
from jepa_core.rollback.successor import refuse_rolled_back
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status
from jepa_core.run_directory.stored_checkpoints import stored_checkpoints
from tests.rollback.killed_rollback import make_children
from tests.rollback.test_child import final_state, rows, train_on


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


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_leaves_no_child_or_a_whole_one_and_the_next_clears_up(
    parent: Path, tmp_path: Path, stride: int
) -> None:
    """Killed before every so many'th of its file operations."""
    before = contents(parent)
    stories = [told(runs_dir, parent.name, before) for runs_dir in killed(parent.parent, tmp_path / "killed", stride)]
    assert {"nothing", "all"} <= set(stories)
    assert "child" in stories or stride > 1
    assert stories == sorted(stories, key=["nothing", "child", "all"].index)


def killed(source: Path, folder: Path, stride: int) -> list[Path]:
    """The folders of runs that killed processes left, in the order of the operation that they were killed before."""
    folder.mkdir()
    make_children(source, folder, stride)
    return sorted(folder.iterdir())


def told(runs_dir: Path, name: str, before: dict[str, bytes]) -> str:
    """What a killed process left, once the next rollback of the same run was tried."""
    parent = runs_dir / name
    children = [run for run in runs_in(runs_dir) if run != parent]
    status = read_status(parent)
    assert status is not None
    marked = status.state == "rolled_back"
    assert (RunReader(parent).state() == "rolled_back") == bool(children)
    if not children:
        assert not marked
        assert contents(parent) == before
        make_child(plan_of(parent))
    else:
        assert_whole(children[0])
    if children and not marked:
        with pytest.raises(RunDirectoryError, match=f"{children[0].name} goes on in its place"):
            refuse_rolled_back(parent)
    status = read_status(parent)
    assert status is not None
    assert status.state == "rolled_back"
    (child,) = (run for run in runs_in(runs_dir) if run != parent)
    assert_whole(child)
    assert status.child == child.name
    assert set(runs_dir.iterdir()) == {parent, child}
    return "all" if marked else "child" if children else "nothing"


@pytest.mark.timeout(1800)  # of the slow ones, on a machine that has much else to do
@pytest.mark.parametrize(
    ("stride", "change"),
    [
        (55, "train={batch_size=8}"),
        pytest.param(1, "train={batch_size=8}", marks=pytest.mark.slow),
        pytest.param(1, "train={accumulate=2}, quantizer={codes=12}", marks=pytest.mark.slow),
    ],
)
def test_a_trainer_that_is_killed_while_a_rule_rolls_its_run_back_goes_on_to_where_it_would_have_come(
    tiny_recipe_file: Path, tmp_path: Path, stride: int, change: str
) -> None:
    """Into the child where there is one; else the run is resumed, and rolls itself back."""
    rule = f"\n[checkpoint]\nevery_steps = 1\n[[watch.rollback]]\nid = 'R'\nwhen = 'step > 3.5'\nset = {{{change}}}\n"
    tiny_recipe_file.write_text(tiny_recipe_file.read_text() + rule)
    *stopped, whole = killed(tiny_recipe_file, tmp_path / "killed", stride)
    (straight,) = (run for run in runs_in(whole) if read_lineage(run))
    assert train_on(straight).exit_code == 0
    epochs = [row["epoch"] for row in RunReader(straight).rows()]
    assert epochs == sorted(epochs)
    made = [gone_on(runs_dir) for runs_dir in stopped]
    assert [before for _, before in made] == sorted(before for _, before in made)
    expected, expected_rows = final_state(straight), rows(straight)
    for child, _ in made:
        assert same_tree(final_state(child), expected)
        assert rows(child) == expected_rows


def gone_on(runs_dir: Path) -> tuple[Path, bool]:
    """The child at its end, and whether the killed process had made it."""
    (parent,) = (run for run in runs_in(runs_dir) if not read_lineage(run))
    children = [run for run in runs_in(runs_dir) if run != parent]
    was_made = bool(children)
    if was_made:
        with pytest.raises(RunDirectoryError, match=f"{children[0].name} goes on in its place"):
            train_on(parent)
    else:
        conclusion = train_on(parent, auto_rollback=True)
        assert conclusion.child is not None
        children = [conclusion.child]
    assert train_on(children[0]).exit_code == 0
    assert set(runs_dir.iterdir()) == {parent, children[0]}
    return children[0], was_made


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
