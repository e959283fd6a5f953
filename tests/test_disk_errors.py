"""What is to be done depends on what the system refused."""

from __future__ import annotations

import errno
import os

import pytest

from jepa_core.disk_errors import remedy


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
