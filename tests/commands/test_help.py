"""Every command explains itself: with its own words, and with an example to type."""

from __future__ import annotations

import pytest

from jepa_core.cli import COMMANDS, program
from tests.architecture.test_imports import commands_of_app


@pytest.mark.parametrize("arguments", commands_of_app(), ids=" ".join)
def test_a_command_shows_an_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    program(arguments[0])(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    is_group = arguments in (["recipe", "--help"], ["plugins", "--help"])
    assert is_group or f"or example: jepa {' '.join(arguments[:-1])}" in shown


def test_the_list_has_a_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    program()(["--help"])
    shown = capsys.readouterr().out
    assert [summary for _, summary in COMMANDS.values() if summary not in shown] == []
