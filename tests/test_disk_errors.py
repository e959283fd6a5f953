"""What is to be done depends on what the system refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from jepa_core.disk_errors import remedy
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.errors import CheckpointError
from tests.run_directory.test_line_appender import files_of_at_most


@pytest.mark.parametrize(
    ("number", "done"),
    [
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EACCES, "Let your user write"),
        (errno.EPERM, "Let your user write"),
        (errno.EROFS, "mounted for writing"),
        (errno.ENOENT, "nothing deletes"),
        (errno.EIO, "dmesg"),
        (errno.ESTALE, "network disk"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EXDEV, "Mend what the system reports"),
    ],
)
def test_an_error_has_its_own_remedy_and_room_is_made_only_where_it_lacks(number: int, done: str) -> None:
    said = remedy(OSError(number, os.strerror(number)))
    assert done in said
    assert ("room" in said) == (number == errno.ENOSPC)


def test_a_checkpoint_that_meets_a_limit_on_files_says_so_and_asks_for_no_room(tmp_path: Path) -> None:
    with files_of_at_most(0), pytest.raises(CheckpointError) as failed:
        CheckpointFolder(tmp_path, keep=2).save(1, {"online": torch.zeros(3)})
    assert str(failed.value).endswith(" bytes. Raise the limit on the size of files (ulimit -f).")
