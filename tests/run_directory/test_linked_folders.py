"""A run directory of strangers, in which links stand for its folders: every command says so, and nothing is read or
written where they lead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jepa_core.autopsy.examining import examine
from jepa_core.cli import main
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.bad_batches import BadBatch, bad_batches, write_bad_batch
from jepa_core.run_directory.stored_checkpoints import newest_verified, stored_checkpoints
from tests.conftest import TINY
from tests.rollback.test_child import start

SAID = "is a symbolic link, which could lead anywhere"
RUN = "RUN"
ON = ["--set", "train.clip_norm=1"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run."""
    recipe = tmp_path_factory.mktemp("whole") / "tiny.toml"
    recipe.write_text(TINY)
    return start(recipe, "checkpoint.every_steps=3").path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "runs" / "mine")


def linked(run: Path, name: str) -> Path:
    """A folder of the run lies outside it, and a link leads there."""
    outside = run.parents[1] / "outside"
    if (run / name).exists():
        shutil.move(run / name, outside)
    else:
        outside.mkdir()
    (run / name).symlink_to(outside)
    return outside


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["checkpoints", "control", "tensorboard"])
@pytest.mark.parametrize(
    "command",
    [["run", "--resume", RUN], ["rollback", RUN, "--to", "3", *ON], ["checkpoints", RUN, "prune", "--keep", "2"]],
)
def test_whoever_writes_in_a_run_refuses_a_link_that_stands_for_a_folder(
    run: Path, command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "verdict.json").unlink()
    outside = linked(run, name)
    before, mine = contents(outside), contents(run)
    assert call(*(str(run) if word == RUN else word for word in command)) == 1
    assert f"{run / name} {SAID}, and a run's folders are its own. Move what it" in capsys.readouterr().err
    assert contents(outside) == before
    assert {**mine, "run.lock": b""} == {**contents(run), "run.lock": b""}
    assert list(run.parent.iterdir()) == [run]


@pytest.mark.parametrize(
    "command",
    [["eval"], ["embed", "-o", "new.npz"], ["export", "-o", "new.pt2"], ["checkpoints"], ["rollback", "--dry-run"]],
)
def test_whoever_reads_checkpoints_refuses_a_link_to_them(
    run: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parents[1])
    linked(run, "checkpoints")
    more = ["--to", "3", *ON] if "--dry-run" in command else []
    assert call(command[0], str(run), *command[1:], *more) == 1
    assert f"{run / 'checkpoints'} {SAID}" in capsys.readouterr().err


def test_an_autopsy_says_it_and_goes_on(run: Path) -> None:
    linked(run, "checkpoints")
    found = examine(run).checkpoint
    assert found.step is None
    assert SAID in found.faults[0]


def test_a_checkpoint_that_is_a_link_is_passed_over_for_an_older_one(run: Path) -> None:
    newest = stored_checkpoints(run / "checkpoints")[-1]
    linked(run, f"checkpoints/{newest.path.name}")
    found = newest_verified(run / "checkpoints")
    assert found.checkpoint is not None
    assert found.checkpoint.step < newest.step
    assert found.faults == (
        f"{newest.path.name}: it is a symbolic link, which could lead anywhere; put what it leads to in its place",
    )


def test_a_link_that_takes_the_place_of_checkpoints_while_a_run_trains_is_not_written_to(run: Path) -> None:
    folder = CheckpointFolder(run / "checkpoints", keep=2)
    outside = linked(run, "checkpoints")
    before = contents(outside)
    for act in (lambda: folder.save(99, {}), lambda: folder.prune(None)):
        with pytest.raises(CheckpointError, match=SAID):
            act()
    assert contents(outside) == before


def test_batches_are_not_read_from_elsewhere(run: Path) -> None:
    write_bad_batch(run, BadBatch(step=1))
    assert len(bad_batches(run)) == 1
    linked(run, "bad_batches")
    assert bad_batches(run) == ()


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)
