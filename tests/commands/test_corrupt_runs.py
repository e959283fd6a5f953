"""Whatever is wrong with a run directory, every command that reads it gives an answer or one sentence."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_imports import commands_of_app
from tests.commands.corrupt_runs import Corrupt, corpus, sample
from tests.commands.reading import LOADING, NOT_READING, READING, Ways, called, filled_in

CODES = {0, 1, 2, 3, 4, 130, 143}
"""All that the program documents."""


@pytest.fixture
def corrupted(trained_run: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that may be spoilt, alone in its folder, which is the working folder too."""
    run = tmp_path / "runs" / "mine-20260101-000000"
    shutil.copytree(trained_run, run)
    before = Path.cwd()
    os.chdir(tmp_path)
    yield run
    os.chdir(before)


def faults_of(run: Path, other: Path, commands: Ways) -> list[str]:
    """What is wrong with how commands take the run."""
    found = []
    for command, ways in commands.items():
        for arguments in ways:
            typed = [*command, *filled_in(arguments, run, other, run.parent.parent / "new")]
            try:
                ended = called(typed)
            except Exception as error:  # a traceback for the user
                found.append(f"{' '.join((*command, *arguments))}: {type(error).__name__}: {error}"[:300])
                continue
            if ended.code not in CODES or "Traceback" in ended.said:
                found.append(f"{' '.join((*command, *arguments))}: exit {ended.code}: {ended.said[:300]}")
            elif ended.code in (1, 2) and not ended.said.strip():
                found.append(f"{' '.join((*command, *arguments))}: exit {ended.code} without a word")
    return found


def test_every_command_is_here() -> None:
    assert {tuple(path[:-1]) for path in commands_of_app()} - {*READING, *LOADING, *NOT_READING} == set()


@pytest.mark.parametrize(("number", "name"), enumerate(sample()), ids=sample())
def test_who_reads_a_corrupt_run_gives_an_answer_or_a_sentence(
    corrupted: Path, trained_run: Path, number: int, name: str
) -> None:
    """Each command in one of its ways, another one each time."""
    sample()[name](corrupted)
    is_recipe = name.startswith(("recipe.toml", "a recipe", "rules"))
    chosen: Ways = {
        command: (ways[number % len(ways)],)
        for command, ways in READING.items()
        if is_recipe or command[0] not in ("recipe", "rollback") or number % 4 == 0
    }
    assert faults_of(corrupted, trained_run, chosen) == []


@pytest.mark.slow
@pytest.mark.parametrize("corrupt", corpus().values(), ids=corpus())
def test_every_command_takes_every_corrupt_run(corrupted: Path, trained_run: Path, corrupt: Corrupt) -> None:
    corrupt(corrupted)
    assert faults_of(corrupted, trained_run, READING) == []
    # Spoilt anew: a copy of it would wait for a pipe, and never end at a link to zeros.
    corrupt_again = corrupted.with_name("again-20260101-000000")
    shutil.copytree(trained_run, corrupt_again)
    corrupt(corrupt_again)
    assert faults_of(corrupt_again, trained_run, LOADING) == []


@pytest.mark.slow
def test_a_whole_run_is_read_by_every_command(corrupted: Path, trained_run: Path) -> None:
    assert faults_of(corrupted, trained_run, {**READING, **LOADING}) == []


def test_runs_that_go_on_as_each_other_are_not_waited_for(corrupted: Path) -> None:
    other = corrupted.with_name("other-20260101-000001")
    shutil.copytree(corrupted, other)
    for run, child in ((corrupted, other), (other, corrupted)):
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps({**status, "state": "rolled_back", "child": child.name}))
    ended = called(["watch", str(corrupted)])
    assert (ended.code, ended.error) == (
        1, f"{corrupted} was rolled back, and its runs go on as each other: its end cannot be told.\n",
    )  # fmt: skip


@pytest.mark.parametrize("code", [-1, 256, 31_556_952_000_000_000])
def test_a_code_that_no_process_exits_with_is_not_passed_on(corrupted: Path, code: int) -> None:
    """256 would leave as 0, and a script would go on."""
    status = json.loads((corrupted / "status.json").read_text())
    (corrupted / "status.json").write_text(json.dumps({**status, "state": "failed", "exit_code": code}))
    assert called(["watch", str(corrupted)]).code == 1
