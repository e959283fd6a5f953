"""Checkpoints: whole or not there, verified before they are believed, and nothing needed is deleted."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jepa_core.engine.checkpoint import (
    CheckpointFolder,
    NotDeletedError,
    join_tree,
    load_checkpoint,
    same_tree,
    split_tree,
)
from jepa_core.errors import CheckpointError
from jepa_core.run_directory.stored_checkpoints import Checkpoint

PLAIN = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8)
TENSORS = arrays("float32", st.integers(0, 3)).map(torch.from_numpy) | st.just(torch.tensor(7))
TREES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc./", max_size=4), inner, max_size=3),
    max_leaves=8,
)


def a_state(number: int) -> dict[str, Any]:
    weights = torch.arange(6, dtype=torch.float32).reshape(2, 3) + number
    return {"online": {"w": weights, "codes": torch.tensor([1, 2])}, "progress": {"step": number, "best": {}}}


@given(TREES)
def test_a_tree_of_state_comes_back_as_it_was(tree: Any) -> None:
    tensors, values = split_tree({"entry": tree})
    assert same_tree(join_tree(tensors, values), {"entry": tree})


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    checkpoint = CheckpointFolder(tmp_path, keep=2).save(3, a_state(3))
    assert checkpoint.path.name == "step-3"
    assert same_tree(load_checkpoint(checkpoint), a_state(3))


def test_a_flipped_bit_anywhere_is_found_and_the_previous_checkpoint_is_used(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    older, newer = folder.save(1, a_state(1)), folder.save(2, a_state(2))
    for path in newer.path.iterdir():
        content = path.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1}:
            path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            found, faults = folder.newest()
            assert found == older, f"{path.name} at {position}"
            assert len(faults) == 1
        path.write_bytes(content)
    assert folder.newest() == (newer, [])


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["empty", "missing", "short"])
def test_a_damaged_file_is_refused_with_the_reason(tmp_path: Path, name: str, damage: str) -> None:
    checkpoint = CheckpointFolder(tmp_path, keep=2).save(1, a_state(1))
    path = checkpoint.path / name
    if damage == "missing":
        path.unlink()
    else:
        os.truncate(path, 0 if damage == "empty" else path.stat().st_size - 1)
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_checkpoint(checkpoint)


def test_a_manifest_that_names_a_path_outside_is_refused(tmp_path: Path) -> None:
    checkpoint = CheckpointFolder(tmp_path, keep=2).save(1, a_state(1))
    manifest = checkpoint.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("state.json", "../state.json"))
    assert checkpoint.verify() is not None


def test_stale_temporaries_are_no_checkpoints_and_are_cleared_by_the_next_save(tmp_path: Path) -> None:
    stale = tmp_path / ".step-9.partial"
    stale.mkdir()
    folder = CheckpointFolder(tmp_path, keep=2)
    assert folder.newest() == (None, [])
    folder.save(10, a_state(10))
    assert not stale.exists()


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 6):
        folder.save(step, a_state(step))
    assert folder.prune(best_step=2) == [1, 3]
    assert [checkpoint.step for checkpoint in folder.all()] == [2, 4, 5]


def test_nothing_is_deleted_while_the_newest_does_not_verify(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 5):
        folder.save(step, a_state(step))
    (tmp_path / "step-4" / "state.json").write_text("{}")
    assert folder.prune(best_step=None) == []
    assert len(folder.all()) == 4


def test_a_disk_that_refuses_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    old = folder.save(1, a_state(1))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(CheckpointError, match="No space left"):
        folder.save(2, a_state(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]
    assert folder.newest() == (old, [])


def test_a_file_of_tensors_that_finds_no_room_leaves_nothing_half_written(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys, torch, pathlib\n"
        "from jepa_core.engine.checkpoint import CheckpointFolder\n"
        "from jepa_core.errors import CheckpointError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    CheckpointFolder(pathlib.Path(sys.argv[1]), keep=2).save(2, {'weights': torch.zeros(10_000)})\n"
        "except CheckpointError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert "step-2 could not be written" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save(1, a_state(1))
    other = a_state(5) | {"progress": {"step": 1}}
    again = folder.save(1, other)
    assert same_tree(load_checkpoint(Checkpoint(again.path, 1)), other)


def test_what_a_rollback_may_still_want_is_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 8):
        folder.save(step, a_state(step))
    (tmp_path / "step-3" / "state.json").write_text("{}")
    assert folder.prune(best_step=None, healthy_before=(4, 5.5)) == [1, 3, 4]
    assert [checkpoint.step for checkpoint in folder.all()] == [2, 5, 6, 7]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("manifest.json", b'{"format" 1}', "manifest.json is damaged: it is no JSON"),
        ("manifest.json", b"[" * 100_000, "manifest.json is damaged: it is nested too deeply"),
        ("manifest.json", b"[]", "manifest.json is damaged: it is no manifest of a checkpoint"),
        ("manifest.json", None, "manifest.json is missing"),
        ("tensors.safetensors", None, "tensors.safetensors is missing"),
        ("state.json", None, "state.json is missing"),
    ],
    ids=["no JSON", "deep", "a list", "no manifest", "no tensors", "no values"],
)
def test_what_is_wrong_is_told_in_words(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    checkpoint = CheckpointFolder(tmp_path, keep=2).save(3, {"x": 1})
    if content is None:
        (checkpoint.path / name).unlink()
    else:
        (checkpoint.path / name).write_bytes(content)
    assert checkpoint.verify() == told


def test_what_cannot_be_deleted_is_told_and_everything_else_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 6):
        folder.save(step, a_state(step))
    stuck, delete = folder.all()[0].path, shutil.rmtree

    def refuses(path: Path, **more: Any) -> None:
        if path == stuck:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        delete(path, **more)

    monkeypatch.setattr(shutil, "rmtree", refuses)
    with pytest.raises(NotDeletedError, match=r"step-1: Operation not permitted\. Delete them yourself"):
        folder.prune(best_step=None)
    assert [checkpoint.step for checkpoint in folder.all()] == [1, 4, 5]


def a_file(path: Path) -> None:
    path.write_text("somebody's")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_link_to_a_folder(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "precious").write_text("keep")
    path.symlink_to(elsewhere)


def a_folder_with_something_in_it(path: Path) -> None:
    path.mkdir()
    (path / "tensors.safetensors").write_text("half of it")


@pytest.mark.parametrize("put", [a_file, a_dangling_link, a_link_to_a_folder, a_folder_with_something_in_it])
@pytest.mark.parametrize("name", [".step-3.partial", ".step-2.partial", ".step-3.replaced", "step-3"])
def test_whatever_has_the_name_that_a_save_wants_is_not_in_its_way(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    checkpoints = tmp_path / "checkpoints"
    folder = CheckpointFolder(checkpoints, keep=2)
    folder.save(1, a_state(1))
    put(checkpoints / name)
    for step in (3, 4):
        assert same_tree(load_checkpoint(folder.save(step, a_state(step))), a_state(step))
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-1", "step-3", "step-4"]
    assert put is not a_link_to_a_folder or (tmp_path / "elsewhere" / "precious").read_text() == "keep"


def test_a_temporary_that_cannot_be_deleted_is_not_in_the_way_of_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, stuck = CheckpointFolder(tmp_path, keep=2), tmp_path / ".step-3.partial"
    stuck.mkdir()
    delete = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **more: None if path == stuck else delete(path, **more))
    assert folder.save(3, a_state(3)).verify() is None


def test_a_checkpoint_set_aside_by_a_process_that_died_is_found_and_put_back(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save(1, a_state(1))
    folder.save(2, a_state(2)).path.rename(tmp_path / ".step-2.replaced")
    newest, faults = folder.newest()
    assert newest is not None
    assert (newest.step, faults) == (2, [])
    assert same_tree(load_checkpoint(newest), a_state(2))
    folder.save(3, a_state(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1", "step-2", "step-3"]


def test_a_stray_folder_of_a_higher_step_stays_and_does_not_keep_old_checkpoints(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    (tmp_path / "step-999").mkdir()
    for step in range(1, 21):
        folder.save(step, a_state(step))
        folder.prune(best_step=None)
    assert [checkpoint.step for checkpoint in folder.all()] == [19, 20, 999]


def test_two_checkpoints_that_verify_are_kept_whatever_their_ages(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in range(1, 6):
        folder.save(step, a_state(step))
    for step in (3, 4):
        (tmp_path / f"step-{step}" / "state.json").write_text("{}")
    assert folder.prune(best_step=None) == [1, 3]
    assert [checkpoint.step for checkpoint in folder.all() if checkpoint.verify() is None] == [2, 5]


def test_a_checkpoint_that_is_a_link_is_deleted_without_what_it_leads_to(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    folder.save(1, a_state(1)).path.rename(tmp_path / "elsewhere")
    (tmp_path / "checkpoints" / "step-1").symlink_to(tmp_path / "elsewhere")
    for step in (2, 3):
        folder.save(step, a_state(step))
    assert folder.prune(best_step=None) == [1]
    assert [checkpoint.step for checkpoint in folder.all()] == [2, 3]
    assert (tmp_path / "elsewhere" / "manifest.json").exists()


@pytest.mark.parametrize("name", ["step-007", "step-٧", "step-", "step-7.partial", ".step-7.partial", "step--7"])
def test_a_folder_of_another_name_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert CheckpointFolder(tmp_path, keep=2).all() == []


def test_a_full_disk_is_told_with_the_path_and_the_bytes_that_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(CheckpointError, match=r"No space left.*tensors\.safetensors.* takes [0-9,]+ bytes"):
        CheckpointFolder(tmp_path, keep=2).save(1, a_state(1))
