"""Nothing in a folder's name, an argument or a plugin's exception steers the terminal, over all commands that take it.

One name has every family of payload.
"""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jepa_core.cli import main
from jepa_core.registry import installed
from tests.architecture.test_imports import commands_of_app
from tests.forked import forked_jepa
from tests.monitor.test_injection import FORBIDDEN, PAYLOADS
from tests.plugins.distributions import COMPONENT
from tests.run_directory.runs import record_run, validation

FAMILIES = ("escape", "csi", "osc 52", "dcs", "c1", "bell, backspace, return", "bidirectional", "no width", "newline")
NAME = "".join(PAYLOADS[family] for family in FAMILIES).replace("/", "")
"""A folder's name, too, which has no NUL."""

TAKES_NOTHING = {("plugins",), ("recipe",), ("demo",), ("plugins", "list"), ("recipe", "list"), ("recipe", "schema")}
"""Groups, and commands without an argument that is a name."""

ARGUMENTS: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("run",): (
        ("X",), ("X.toml",), ("--resume", "X"), ("tiny.toml", "X"), ("tiny.toml", "--X"), ("tiny.toml", "--set", "X=1"),
        ("tiny.toml", "--set", "name=X"), ("tiny.toml", "--set", "data.kind=X"), ("tiny.toml", "--device", "X"),
        ("tiny.toml", "--gpus", "X"), ("tiny.toml", "--plugin", "X"), ("tiny.toml", "--plugin", "X.py"),
        ("tiny.toml", "--no-plugin", "X"), ("tiny.toml", "--runs-dir", "/dev/null/X"), ("--resume", "a", "--set", "X"),
        ("--resume", "run", "--runs-dir", "X"),
    ),
    ("audit",): (("X",), ("X.toml",), ("tiny.toml", "--set", "X")),
    ("monitor",): (("X", "--once"), ("run", "--once", "--X"), ("X", "--once", "--json")),
    ("watch",): (("X",),),
    ("rollback",): (
        ("X",), ("run", "--to", "X"), ("run", "--to", "1", "--set", "X=1"), ("run", "--to", "1", "--use", "X"),
        ("run", "--scenario", "X"),
    ),
    ("check",): (("X",), ("run", "--recipe", "X.toml")),
    ("verdict",): (("X",), ("run", "--runs-dir", "X")),
    ("checkpoints",): (("X",), ("run", "X"), ("run", "prune", "--keep", "X"), ("run", "--runs-dir", "X")),
    ("autopsy",): (("X",), ("run", "--X"), ("run", "--runs-dir", "X")),
    ("runs",): (("X",), ("--X",)),
    ("eval",): (("X",), ("run", "--step", "X"), ("run", "--set", "X")),
    ("embed",): (("X", "-o", "a.npz"), ("run", "-o", "X"), ("run", "-o", "X/a.npz")),
    ("export",): (("X", "-o", "a.pt2"), ("run", "-o", "X"), ("run", "-o", "X/a.pt2")),
    ("plot",): (("X", "-o", "a.png"), ("run", "-o", "X"), ("run", "-o", "X/a.png")),
    ("compare",): (("X", "X"), ("run", "X"), ("run", "run", "--plot", "X")),
    ("ablate",): (("X",), ("tiny.toml", "--vary", "X"), ("--resume", "X")),
    ("bench",): (("X",), ("--X",)),
    ("recipe", "new"): (("X",), ("no/X",), ("a.toml", "--from", "X"), ("tiny.toml", "--from", "tiny.toml")),
    ("recipe", "show"): (("X",), ("tiny.toml", "--set", "X=1")),
    ("recipe", "check"): (("X",), ("tiny.toml", "--set", "X=1")),
    ("recipe", "diff"): (("X", "tiny.toml"), ("tiny.toml", "X")),
    ("plugins", "show"): (("X",), ("quantizer", "X")),
    ("plugins", "check"): (("X",), ("X.py",)),
    ("plugins", "new"): (("X",), ("/dev/null/X",)),
    ("completion",): (("X",), ("bash", "X")),
}  # fmt: skip
"""Command → arguments with which it ends in an error; X stands for the payload."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str]]]:
    """Calls the program; its exit code, and what it printed where its errors go to a terminal."""

    def call(*arguments: object) -> tuple[int, str]:
        installed.cache_clear()
        out, error = io.StringIO(), Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", error)
            with pytest.raises(SystemExit) as ended:
                main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, out.getvalue() + error.getvalue()

    monkeypatch.setenv("TERM", "dumb")
    yield call
    installed.cache_clear()


def acting(text: str) -> list[str]:
    """The lines in which something acts."""
    return [line for line in text.split("\n") if any(unicodedata.category(letter) in FORBIDDEN for letter in line)]


def test_every_command_is_here() -> None:
    assert {tuple(path[:-1]) for path in commands_of_app()} - TAKES_NOTHING == ARGUMENTS.keys()


@pytest.mark.parametrize("name", [NAME, "\udcff\udc9b2J.x", "x" * 5000], ids=["families", "not UTF-8", "too long"])
@pytest.mark.parametrize("command", ARGUMENTS, ids=" ".join)
@pytest.mark.usefixtures("tiny_recipe_file")
def test_an_argument(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    printed: Callable[..., tuple[int, str]],
    *,
    command: tuple[str, ...],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    record_run(tmp_path / "run", [validation(1, 1.0, 0.4)])
    for arguments in ARGUMENTS[command]:
        code, said = printed(*command, *(argument.replace("X", name) for argument in arguments))
        assert code in (0, 1, 2), arguments
        assert said, arguments
        assert not acting(said), arguments


def test_the_name_of_a_folder(tmp_path: Path, printed: Callable[..., tuple[int, str]]) -> None:
    run = record_run(tmp_path / NAME / NAME, [validation(1, 1.0, 0.4)])
    for arguments in (
        ["verdict", run], ["rollback", run, "--set", "a=1"], ["eval", run], ["embed", run, "-o", run / "a.npz"],
        ["export", run, "-o", run / "a.pt2"], ["plot", run, "-o", run / "a.png"], ["run", "--resume", run],
        ["audit", run / "recipe.toml"], ["monitor", run / "none", "--once"], ["compare", run, tmp_path],
        ["run", run.parent], ["recipe", "check", run / "recipe.toml"], ["check", run / "none"],
        ["autopsy", run / "none"],
    ):  # fmt: skip
        code, said = printed(*arguments)
        assert code != 0, arguments
        assert not acting(said), arguments
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to(tmp_path)
    for arguments in (["check", run], ["compare", run, run]):
        assert not acting(printed(*arguments)[1]), arguments


def test_the_name_of_a_folder_on_a_screen(
    tmp_path: Path, tiny_recipe_file: Path, printed: Callable[..., tuple[int, str]]
) -> None:
    folder = tmp_path / NAME
    run = record_run(folder / NAME, [validation(1, 1.0, 0.4), validation(2, 2.0, 0.5)])
    other = record_run(tmp_path / "other", [validation(1, 1.0, 0.4)])
    recipe = folder / "a.toml"
    recipe.write_text(tiny_recipe_file.read_text())
    (folder / "b.toml").write_text('extends = "a.toml"\nname = "b"\n')
    for arguments in (
        ["runs", "--runs-dir", folder], ["runs", "--runs-dir", folder / NAME / NAME], ["monitor", run, "--once"],
        ["monitor", folder, "--once"], ["check", run], ["compare", run, other], ["recipe", "check", recipe],
        ["compare", run, other, "--plot", folder / "a.png"], ["recipe", "show", folder / "b.toml"], ["autopsy", run],
        ["recipe", "show", folder / "b.toml", "--toml"], ["recipe", "diff", recipe, tiny_recipe_file],
        ["plugins", "new", folder / "jepa-mine", "--family", "loss", "--name", "mine"],
         ["run", recipe, "--runs-dir", folder, "--no-audit"],
    ):  # fmt: skip
        code, said = printed(*arguments)
        # The musts of a finished run of so few rows cannot be judged.
        assert code == (4 if arguments[0] == "check" else 0), (arguments, said)
        assert said, arguments
        assert not acting(said), arguments


@pytest.mark.parametrize("command", ["runs", "monitor", "check", "compare", "autopsy"])
def test_json_says_the_name_of_a_folder_in_escapes(
    tmp_path: Path, printed: Callable[..., tuple[int, str]], command: str
) -> None:
    run = record_run(tmp_path / NAME / NAME, [validation(1, 1.0, 0.4)])
    places: dict[str, list[object]] = {
        "runs": ["--runs-dir", run.parent],
        "monitor": [run, "--once"],
        "check": [run],
        "autopsy": [run],
        "compare": [run, record_run(tmp_path / "other", [validation(1, 1.0, 0.4)])],
    }
    code, said = printed(command, *places[command], "--json")
    assert code == (4 if command == "check" else 0)
    assert not acting(said)
    assert any(NAME in text for text in texts(json.loads(said.partition("Exit code")[0])))


def texts(value: Any) -> Iterator[str]:
    """All strings in what JSON says."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts(list(value.values()))
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)


def test_the_exception_of_a_plugin_that_cannot_be_imported(
    tmp_path: Path, tiny_recipe_file: Path, printed: Callable[..., tuple[int, str]]
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(f"raise RuntimeError({NAME!r})\n")
    for arguments in (
        ["run", tiny_recipe_file], ["audit", tiny_recipe_file], ["recipe", "show", tiny_recipe_file],
        ["recipe", "check", tiny_recipe_file], ["plugins"], ["plugins", "check"],
    ):  # fmt: skip
        given = [plugin] if arguments == ["plugins", "check"] else ["--plugin", plugin]
        assert not acting(printed(*arguments, *given)[1]), arguments


@pytest.mark.parametrize("command", [["run", "--no-audit"], ["audit"]])
def test_a_traceback(tmp_path: Path, tiny_recipe_file: Path, command: list[str]) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    plugin = folder / "mine.py"
    raised = f"forward(self, values, mask):\n                raise RuntimeError({NAME + chr(0)!r})"
    plugin.write_text(COMPONENT.format(kind="mine").replace("forward(self, values, mask):", raised))
    flags = [str(tiny_recipe_file), "--plugin", str(plugin), "--set", "aggregator.kind=mine"]
    (logs := tmp_path / "logs").mkdir()
    done = forked_jepa(*command, *flags, cwd=tmp_path, environment={"TMPDIR": str(logs)})
    assert done.returncode == 1
    assert "Traceback (most recent call last)" not in done.stderr
    assert "RuntimeError" in done.stderr
    assert not acting(done.stdout + done.stderr)
    kept = [*tmp_path.glob("runs/*/console.log"), *logs.glob("jepa-traceback-*")]
    assert len(kept) == 1
    for log in kept:
        assert "Traceback (most recent call last)" in log.read_text()
        assert not acting(log.read_text())
