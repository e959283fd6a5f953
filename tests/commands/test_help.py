"""Every command explains itself: with its own words, and with an example to type."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from jepa_core.cli import COMMANDS, main, program
from tests.architecture.test_imports import commands_of_app


@pytest.mark.parametrize("arguments", commands_of_app(), ids=" ".join)
def test_a_command_shows_an_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    program(arguments[0])(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    is_group = arguments in (["recipe", "--help"], ["plugins", "--help"])
    assert is_group or f"or example: jepa {' '.join(arguments[:-1])}" in shown


@pytest.mark.parametrize("arguments", commands_of_app(), ids=" ".join)
def test_an_example_is_a_call_that_the_command_takes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    *path, _ = arguments
    command = program(path[0])
    command(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    examples = re.findall(r"or example: (jepa .*?)(?= [A-Z┌╭][a-z─]|$)", shown)
    assert examples or arguments in (["recipe", "--help"], ["plugins", "--help"])
    for example in examples:
        words = shlex.split(re.split(r" [>&]", example)[0])
        # It is read, and not carried out.
        called, bound, _ = program(words[1]).parse_args(words[1:], exit_on_error=False, print_error=False)
        assert called.__module__.startswith(("jepa_core.commands", "jepa_monitor"))
        assert bound is not None


def test_the_list_has_a_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 0
        shown = capsys.readouterr().out
        assert [name for name, (_, summary) in COMMANDS.items() if summary not in shown] == []
        assert max(map(len, shown.splitlines())) <= 80


def test_the_list_and_the_version_load_no_library_for_the_screen() -> None:
    for flag in ("--help", "--version"):
        code = f"""import sys
from jepa_core.cli import main
try:
    main(["{flag}"])
finally:
    heavy = {{"cyclopts", "rich", "attrs", "torch", "numpy"}} & sys.modules.keys()
    assert not heavy, heavy
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("group", ["recipe", "plugins"])
def test_a_group_says_what_each_of_its_commands_is_for(group: str) -> None:
    # In a process of its own: a command that was called once is imported, and is then known to the list.
    code = f"from jepa_core.cli import main; main(['{group}', '--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    box = shown[shown.index("─ Commands ─") : shown.index("╰")]
    listed = {
        words[1]: words[2:-1] for words in map(str.split, box.splitlines()) if len(words) > 2 and words[1].islower()
    }
    names = {arguments[1] for arguments in commands_of_app() if arguments[0] == group and len(arguments) == 3}
    assert names <= listed.keys()
    assert all(listed[name] for name in names)
