"""A folder comes to be whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.errors import JepaError, RecipeError
from jepa_core.scaffold.folder import write_folder

CONTENTS = {"a.txt": "a", "sub/b.txt": "τ", "sub/deeper/c.txt": ""}


def files_below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_holds_every_file_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_folder(tmp_path / "new", CONTENTS)
    assert files_below(tmp_path / "new") == CONTENTS
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_empty_folder_stays_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    number = folder.stat().st_ino
    write_folder(folder, CONTENTS)
    assert folder.stat().st_ino == number
    assert files_below(folder) == CONTENTS


def test_the_current_folder_can_be_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_folder(Path(), CONTENTS)
    assert files_below(folder) == CONTENTS


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(RecipeError, match=f"{name} is there already"):
            write_folder(tmp_path / name, CONTENTS)
    assert files_below(tmp_path / "full") == {"mine.txt": "mine"}
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no folder"):
        write_folder(tmp_path / "no" / "new", CONTENTS)


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "new"
    if exists:
        folder.mkdir()
    with pytest.raises(JepaError, match="left as it was"):
        write_folder(folder, CONTENTS | {"x" * 300: "a name too long for the file system"})
    assert folder.exists() == exists
    assert [path for path in tmp_path.rglob("*") if path != folder] == []
