from __future__ import annotations

import os
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.room import require_room
from tests.commands.reading import called


def test_a_folder_that_is_there_or_can_be_made_is_fine_and_nothing_is_made(tmp_path: Path) -> None:
    for runs_dir in (tmp_path, tmp_path / "runs", tmp_path / "all" / "of" / "them", Path("runs"), Path()):
        require_room(runs_dir)
    assert list(tmp_path.iterdir()) == []


def test_a_file_a_link_to_nothing_and_what_lies_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("gone")
    for runs_dir, what in (("file", "file"), ("file/runs", "file"), ("link", "link"), ("link/runs", "link")):
        with pytest.raises(RunDirectoryError, match=rf"{runs_dir}: \S+/{what} is no folder\.\n"):
            require_room(tmp_path / runs_dir)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirectoryError, match="cannot be written to"):
        require_room(tmp_path / "runs")
    tmp_path.chmod(0o700)


def test_a_run_says_so_before_it_looks_for_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ended = called(["run", str(tmp_path / "gone.toml"), "--runs-dir", str(tmp_path / "file")])
    assert ended.code == 1
    assert ended.error == (
        f"No run directory can be made in {tmp_path}/file: {tmp_path}/file is no folder.\n"
        "Choose another place with --runs-dir.\n"
    )
