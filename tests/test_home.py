"""Paths as people type them: `~` and `~user` where no shell reads them, relative ones shown and recorded whole."""

from __future__ import annotations

import getpass
import re
import tomllib
from pathlib import Path

import pytest

import jepa_core as jepa
from jepa_core.cli import main
from jepa_core.errors import RecipeError
from jepa_core.home import argument_at_home, at_home
from jepa_core.recipes.reading import load_recipe
from jepa_core.recipes.recipe_path import find_recipe
from jepa_core.registry import installed
from tests.run_directory.runs import record_run, validation


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code, and what is printed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, error = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out + error


def test_a_home_is_put_in_for_what_leads_to_one(home: Path) -> None:
    assert at_home("~") == str(home)
    assert at_home("~/a b") == f"{home}/a b"
    assert at_home(f"~{getpass.getuser()}/a") == str(Path(f"~{getpass.getuser()}/a").expanduser())
    for text in ("", "a~/b", "./~/a", "~nobody-of-this-name"):
        assert at_home(text) == text
    assert argument_at_home("--runs-dir=~/runs") == f"--runs-dir={home}/runs"
    for argument in ("--set=data.path=~/a", "--tag=~x", "data.path=~/a", "-o"):
        assert argument_at_home(argument) == argument
    with pytest.raises(
        RecipeError, match=re.escape("~nobody-of-this-name/a: there is no home of ~nobody-of-this-name.")
    ):
        at_home("~nobody-of-this-name/a")


def test_every_argument_that_is_a_path_may_begin_at_home(
    home: Path, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(home / "runs" / "one-20260101-000000", [validation(1, 1.0, 0.4)])
    tiny_recipe_file.rename(home / "tiny.toml")
    for arguments in (
        ["runs", "--runs-dir=~/runs"],
        ["runs", "--runs-dir", "~/runs"],
        ["checkpoints", "~/runs/one-20260101-000000"],
        ["recipe", "show", "~/tiny.toml"],
        ["recipe", "check", "~/tiny.toml"],
        ["recipe", "new", "~/new.toml"],
    ):
        code, text = said(capsys, *arguments)
        assert code == 0, text
    assert (home / "new.toml").exists()
    assert [run.path.name for run in jepa.runs("~/runs")] == ["one-20260101-000000"]
    assert jepa.recipe("~/tiny.toml").name == "tiny"
    assert jepa.open_run("~/runs/one-20260101-000000").path == home / "runs" / "one-20260101-000000"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["recipe", "show", "~/no.toml"], "No recipe HOME/no.toml: no such file. It was typed as ~/no.toml."),
        (["recipe", "show", "a/no.toml"], "No recipe a/no.toml: no such file (HERE/a/no.toml)."),
        (["verdict", "no"], "No run 'no': there are no runs in HERE/runs/. Give a run directory, or --runs-dir."),
        (
            ["verdict", "no", "--runs-dir=~/gone"],
            "No run 'no': there are no runs in HOME/gone/. Give a run directory, or --runs-dir. "
            "It was typed as --runs-dir=~/gone.",
        ),
        (
            ["recipe", "show", "quickstart", "--plugin", "a/no.py"],
            "--plugin a/no.py: cannot be read (HERE/a/no.py): No such file or directory. Give the path of a file.",
        ),
        (
            ["verdict", "~nobody-of-this-name/a"],
            "~nobody-of-this-name/a: there is no home of ~nobody-of-this-name. Give the whole path, or "
            "./~nobody-of-this-name/a where ~nobody-of-this-name is a folder's name.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_told_as_typed_and_whole(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    code, text = said(capsys, *arguments)
    assert code in (1, 2)
    assert text.split("\n")[0] == line.replace("HOME", str(home)).replace("HERE", str(Path.cwd()))


def test_a_run_records_where_its_data_lies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "grids.jsonl").touch()
    link = home / "link.jsonl"
    link.symlink_to("grids.jsonl")
    for typed, recorded in (("grids.jsonl", home / "grids.jsonl"), ("~/link.jsonl", link), ("absent", Path("absent"))):
        flags = ["data.kind=manifest", f"data.path={typed}"]
        loaded = load_recipe(find_recipe("quickstart"), overrides=flags, registry=installed())
        assert loaded.table["data"]["path"] == typed
        assert tomllib.loads(loaded.resolved())["data"]["path"] == str(recorded)
