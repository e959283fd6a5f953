from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.run_directory.replacing import replace_file
from jepa_core.run_directory.watched_file import WatchedFile, signature


def test_it_is_read_again_only_when_it_was_written_replaced_deleted_or_made(tmp_path: Path) -> None:
    path, reads = tmp_path / "status.json", list[int]()

    def size(found: Path) -> int:
        reads.append(len(found.read_bytes()) if found.exists() else -1)
        return reads[-1]

    file = WatchedFile(path, size)
    assert (file.content, file.refresh()) == (-1, False)
    path.write_bytes(b"one")
    assert (file.refresh(), file.content) == (True, 3)
    assert file.refresh() is False
    replace_file(path, b"another")
    assert (file.refresh(), file.content) == (True, 7)
    path.unlink()
    assert (file.refresh(), file.content) == (True, -1)
    assert reads == [-1, 3, 7, -1]


@pytest.mark.parametrize("name", ["missing", "nul\0", "x" * 5000])
def test_what_cannot_be_asked_for_is_not_there(tmp_path: Path, name: str) -> None:
    assert signature(tmp_path / name) is None
