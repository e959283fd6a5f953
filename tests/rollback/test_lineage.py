"""Which run goes on in the place of which: what a run directory says of others, and a stranger's that says more."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.cli import main
from jepa_core.errors import CheckpointError, RunDirectoryError
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.lineage import Lineage, parent_of, write_lineage
from jepa_core.rollback.planning import plan_rollback
from jepa_core.rollback.successor import refuse_rolled_back, successor_of
from jepa_core.run_directory.naming import find_run, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import Status, write_status
from tests.run_directory.runs import record_run

CHANGE = {"train": {"clip_norm": 1.0}}


@pytest.fixture
def theirs(parent: Path, tmp_path: Path) -> Path:
    """A run directory that came from somebody else, without a checkpoint, in a folder of its own."""
    run = tmp_path / "downloads" / "theirs"
    shutil.copytree(parent, run)
    shutil.rmtree(run / "checkpoints")
    return run


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def child_of(parent: Path) -> Path:
    return make_child(plan_rollback(parent, installed(), to=3, set=CHANGE)).path


@pytest.mark.parametrize("form", ["a path in its own field", "a path for a name", "a way up for a name"])
def test_a_stranger_run_leads_to_no_other_folder(parent: Path, theirs: Path, form: str) -> None:
    names = {"a path for a name": str(parent), "a way up for a name": f"../{parent.parent.name}/{parent.name}"}
    told = {"parent": names.get(form, parent.name), "parent_path": str(parent), "step": 9}
    (theirs / "rollback.json").write_bytes(orjson.dumps(told))
    before = contents(parent)
    with pytest.raises(CheckpointError, match=r"No checkpoint of .*theirs up to step 9 can be used") as refused:
        plan_rollback(theirs, installed(), to=9, set=CHANGE)
    assert "which theirs was rolled back from, does not lie beside it" in str(refused.value)
    refuse_rolled_back(parent)
    assert contents(parent) == before


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "a\0b", "/", "mine/../mine"])
def test_what_is_no_name_of_a_run_is_nobodys_parent_and_nobodys_child(tmp_path: Path, name: str) -> None:
    record_run(tmp_path / "mine")
    run = record_run(tmp_path / "runs" / "theirs")
    assert parent_of(run, Lineage(parent=name)) is None
    assert parent_of(run, Lineage(parent=str(tmp_path / "mine"))) is None
    for child in (name, str(tmp_path / "mine")):
        write_status(run, Status(state="rolled_back", child=child))
        assert successor_of(run) is None
        refuse_rolled_back(run)


def test_a_parent_that_was_moved_with_its_child_is_found(parent: Path, tmp_path: Path) -> None:
    child = child_of(parent)
    shutil.rmtree(child / "checkpoints")
    moved = parent.parent.rename(tmp_path / "elsewhere")
    rollback = plan_rollback(moved / child.name, installed(), to=3, set={"train": {"clip_norm": 2.0}})
    assert rollback.checkpoint is not None
    assert rollback.checkpoint.path == moved / parent.name / "checkpoints" / "step-3"


def test_a_parent_that_is_a_link_is_its_childs_by_the_links_name(parent: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked" / "mine"
    linked.parent.mkdir()
    linked.symlink_to(parent)
    child = child_of(linked)
    assert child.parent == linked.parent
    status = RunReader(child).status()
    assert status is not None
    assert status.parent == "mine"
    shutil.rmtree(child / "checkpoints")
    rollback = plan_rollback(child, installed(), to=3, set={"train": {"clip_norm": 2.0}})
    assert rollback.checkpoint is not None
    assert rollback.checkpoint.path.is_relative_to(linked)


@pytest.mark.parametrize(("folder", "typed"), [("", "."), ("checkpoints", ".."), ("checkpoints", "../../{}/.")])
def test_a_run_that_is_typed_by_where_one_stands_has_its_child_beside_it(
    parent: Path, monkeypatch: pytest.MonkeyPatch, folder: str, typed: str
) -> None:
    monkeypatch.chdir(parent / folder)
    child = child_of(find_run(typed.format(parent.name), Path("runs")))
    assert sorted(runs_in(parent.parent)) == sorted([parent, parent.parent / child.name])
    with pytest.raises(RunDirectoryError, match=f"{parent.name} was rolled back and stays as it is; {child.name} goes"):
        refuse_rolled_back(find_run(typed.format(parent.name), Path("runs")))


def test_a_dry_run_marks_nothing(parent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The child's maker was killed before it had marked the parent."""
    status = (parent / "status.json").read_bytes()
    child = child_of(parent)
    (parent / "status.json").write_bytes(status)
    before = contents(parent)
    for dry in (["--dry-run"], []):
        with pytest.raises(SystemExit) as ended:
            main(["rollback", str(parent), "--to", "3", "--set", "train.clip_norm=1", *dry])
        assert ended.value.code == 1
        assert f"{child.name} goes on in its place" in capsys.readouterr().err
        assert (contents(parent) == before) is bool(dry)
    assert successor_of(parent) == child


def test_a_child_is_synced_once(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def counted(opened: Any) -> None:
        found = os.fstat(opened if isinstance(opened, int) else opened.fileno())
        synced.append((found.st_dev, found.st_ino))
        fsync(opened)

    monkeypatch.setattr(os, "fsync", counted)
    child = child_of(parent)
    files = [path.stat() for path in (child, *child.rglob("*"))]
    assert [synced.count((each.st_dev, each.st_ino)) for each in files] == [1] * len(files)


def test_a_resume_looks_once_whether_another_run_goes_on_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_recipe_file: Path
) -> None:
    run, other = record_run(tmp_path / "mine", state="interrupted"), record_run(tmp_path / "other")
    (run / "recipe.toml").write_text(tiny_recipe_file.read_text())
    write_lineage(other, Lineage(parent="another"))
    looks, opened = [], os.open

    def noted(path: Any, *given: Any, **named: Any) -> int:
        looks.append(Path(os.fsdecode(path)))
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--resume", str(run)])
    assert ended.value.code == 1
    assert looks.count(other / "rollback.json") == 1
