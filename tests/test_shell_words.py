"""What is printed to be typed is read by a shell, and by the program, as what it stands for."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from jepa_core.shell_words import typed_flag, typed_path, with_comment, without_comment


@pytest.mark.parametrize("value", ["A", "two words", "--dry-run", "-x", "it's", "$(rm)", "~me", ""])
def test_a_flag_has_its_value_whatever_that_begins_with(value: str) -> None:
    words = shlex.split(typed_flag("--scenario", value))
    assert words in (["--scenario", value], [f"--scenario={value}"])
    assert not words[-1].startswith("-") or words[-1].startswith("--scenario=")


@pytest.mark.parametrize("path", [Path("-x/recipe.toml"), Path("~/recipe.toml"), Path("my runs/a"), "plain"])
def test_a_path_is_neither_a_flag_nor_a_home(path: Path | str) -> None:
    (word,) = shlex.split(typed_path(path))
    assert not word.startswith(("-", "~"))
    assert Path(word) == Path(path)


@pytest.mark.parametrize("value", ["A", "a  # b", "it's  # b", '"  # ', "# b", "  # "])
@pytest.mark.parametrize("why", ["", "from step 3", "it's the best  # of all"])
def test_a_comment_begins_behind_what_is_quoted(value: str, why: str) -> None:
    command = f"jepa rollback run {typed_flag('--scenario', value)} --set KEY=VALUE"
    assert without_comment(with_comment(command, why)) == (command, why)
