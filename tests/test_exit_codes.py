"""Whatever a command exits with but 0 is explained in a line on the standard error, in words that the docs have too."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from docs.reference_pages.program import command_help, command_paths, commands_page
from jepa_core.engine.interruption import STOPS
from jepa_core.exit_codes import OF_ALL, OF_COMMANDS, explained
from tests.commands.reading import called

PATHS = {" ".join(path): path for path in command_paths()}
_LISTED = re.compile(r"Exit codes(?: are the run's)?: (.*?)\n\n", re.DOTALL)


def test_only_commands_that_there_are_have_codes_of_their_own() -> None:
    assert set(OF_COMMANDS) <= set(PATHS)


def test_every_signal_that_stops_a_run_is_explained() -> None:
    assert {128 + stop for stop in STOPS} < set(OF_ALL)


@pytest.mark.parametrize("name", [name for name in PATHS if _LISTED.search(command_help(PATHS[name]))])
def test_codes_that_a_help_lists_are_explained(name: str) -> None:
    listed = _LISTED.search(command_help(PATHS[name]))
    assert listed
    known = {0, *OF_ALL, *OF_COMMANDS.get(name, {})}
    codes = {int(code) for code in re.findall(r"\b\d+\b", listed[1])}
    assert codes <= known
    own = {} if "those of jepa run" in listed[1] else OF_COMMANDS.get(name, {})
    assert own.keys() <= codes
    words = " ".join(listed[1].split())
    assert all("could not be judged" in words for what, _ in own.values() if "could not be judged" in what)


def test_every_meaning_stands_in_the_reference() -> None:
    page = commands_page()
    for meanings in (OF_ALL, *OF_COMMANDS.values()):
        for code, (what, remedy) in meanings.items():
            assert f"| `{code}` | {what} | {remedy} |" in page


def test_a_code_that_nobody_foresaw_is_explained_as_well() -> None:
    assert explained(["run"], 128 + signal.SIGKILL).startswith("Exit code 137: a process was ended by signal SIGKILL.")
    assert explained(["run"], 77).startswith("Exit code 77: a process was ended by its own word.")


@pytest.fixture
def failing_run(tmp_path: Path, tiny_recipe_file: Path) -> Path:
    """A run of a recipe whose must does not hold."""
    with tiny_recipe_file.open("a") as recipe:
        recipe.write('\n[[watch.must]]\nid = "high"\nwhen = "val.retrieval.mrr > 2"\n')
    runs = tmp_path / "runs"
    ended = called(["run", str(tiny_recipe_file), "--runs-dir", str(runs), "--no-audit"])
    assert ended.code == 4
    assert ended.error == f"{explained(['run'], 4)}\n"
    (run,) = runs.iterdir()
    return run


def test_of_a_run_whose_must_failed_each_command_says_what_its_code_means(failing_run: Path) -> None:
    for command in ("check", "watch"):
        ended = called([command, str(failing_run)])
        assert (ended.code, ended.error) == (4, f"{explained([command], 4)}\n")
    (damaged,) = (failing_run / "checkpoints").iterdir()
    (damaged / "values.json").unlink(missing_ok=True)
    (damaged / "state.json").unlink(missing_ok=True)
    ended = called(["checkpoints", str(failing_run), "verify"])
    assert (ended.code, ended.error) == (
        1,
        "Exit code 1: a checkpoint does not verify. What to do with it is said above.\n",
    )


def test_a_run_whose_end_cannot_be_read_is_judged_by_what_is_said_to_type(failing_run: Path) -> None:
    (failing_run / "status.json").write_bytes(bytes(range(256)))
    ended = called(["check", str(failing_run)])
    assert (ended.code, ended.error) == (1, f"{explained(['check'], 1)}\n")
    command = " ".join(ended.out.split()).partition("as those of a whole run: jepa ")[2]
    assert called(shlex.split(command)).code == 4


def test_a_faulty_recipe_is_told_of_with_the_code(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.toml"
    faulty.write_text("name = 3\n")
    ended = called(["recipe", "check", str(faulty)])
    assert (ended.code, ended.error) == (2, f"{explained(['recipe', 'check'], 2)}\n")


@pytest.mark.parametrize("arguments", [["--version"], ["audit", "--help"], ["recipe", "list"]])
def test_an_output_that_cannot_be_written_is_said_in_a_line(arguments: list[str]) -> None:
    command = ["env", "PYTHONUNBUFFERED=", sys.executable, "-m", "jepa_core", *arguments]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "Exit code 1: the output cannot be written: No space left on device. Make room on the disk.\n"
    assert (ended.returncode, ended.stderr) == (1, said)


@pytest.mark.parametrize("command", [["check"], ["check", "--json"], ["watch"], ["verdict"]], ids=" ".join)
def test_of_a_run_whose_must_failed_an_output_that_cannot_be_written_is_said_and_no_code_points_into_it(
    failing_run: Path, command: list[str]
) -> None:
    name, *flags = command
    arguments = [sys.executable, "-m", "jepa_core", name, str(failing_run), *flags]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "Exit code 1: the output cannot be written: No space left on device. Make room on the disk.\n"
    assert (ended.returncode, ended.stderr) == (1, said)


@pytest.mark.parametrize(
    "more", [["run"], ["ablate", "--seeds", "1", "--vary", "train.batch_size=16,32"]], ids=["run", "ablate"]
)
def test_training_goes_on_without_an_output_that_cannot_be_written_and_says_so(
    tiny_recipe_file: Path, tmp_path: Path, more: list[str]
) -> None:
    runs = tmp_path / "runs"
    command, *flags = more
    arguments = [command, str(tiny_recipe_file), *flags, "--runs-dir", str(runs), "--device", "cpu"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "jepa_core", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    said = "The output cannot be written: No space left on device. Make room on the disk. The training goes on, "
    assert ended.stderr.count(said) == 1
    verdict, log = (next(runs.rglob(name)) for name in ("verdict.json", "console.log"))
    assert ended.returncode == (orjson.loads(verdict.read_bytes())["exit_code"] if command == "run" else 0)
    assert "Verdict: " in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "unbuffered", "code"),
    [
        (["--version"], "", 0),
        (["run", "--help"], "", 0),
        (["run", "--help"], "1", 0),
        (["recipe", "check", "quickstart", "no.toml"], "", 2),
    ],
)
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_reader_that_has_left_changes_neither_the_code_nor_what_else_is_said(
    arguments: list[str], unbuffered: str, code: int, closed: str
) -> None:
    command = ["env", f"PYTHONUNBUFFERED={unbuffered}", sys.executable, "-m", "jepa_core", *arguments]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: pipe}
        left = subprocess.run(command, **streams, text=True, check=False)  # type: ignore[call-overload]
    assert (read.returncode, left.returncode) == (code, code)
    other = "stderr" if closed == "stdout" else "stdout"
    assert getattr(left, other) == getattr(read, other)
