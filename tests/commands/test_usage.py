"""What is said of arguments that are missing or at fault: as other errors, without a box, and with exit code 2."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from jepa_core.cli import main, program
from tests.architecture.test_imports import commands_of_app

REQUIRED = {
    ("audit",): "RECIPE",
    ("embed",): "--output",
    ("export",): "--output",
    ("plot",): "--output",
    ("plugins", "check"): "TARGET",
    ("plugins", "new"): "PATH",
    ("plugins", "show"): "NAME",
    ("recipe", "diff"): "LEFT",
    ("recipe", "new"): "FILE",
    ("recipe", "show"): "RECIPE",
}


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is printed as an error, of a call that ends with code 2."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "╭" not in err
    return err


@pytest.mark.parametrize("path", REQUIRED, ids=" ".join)
def test_a_required_argument_is_named_when_it_is_missing(
    capsys: pytest.CaptureFixture[str], path: tuple[str, ...]
) -> None:
    first, second = complaint(capsys, *path).splitlines()
    assert first.startswith(f"{REQUIRED[path]} is missing")
    assert second.startswith(f"For example: jepa {' '.join(path)} ")


def test_no_other_command_requires_an_argument() -> None:
    requiring = set()
    for *path, _ in commands_of_app():
        resolved = program(path[0]).parse_commands(path)[1][-1]
        if resolved.default_command and any(a.required for a in resolved.assemble_argument_collection()):
            requiring.add(tuple(path))
    assert requiring == REQUIRED.keys()


def test_a_missing_output_says_how_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "embed", "latest").startswith("--output is missing: where to write, as -o FILE.\n")
    assert complaint(capsys, "embed", "latest", "-o").startswith("-o has no value: where to write, as -o FILE.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "a", "b c"], "jepa run has no place for 'b c'.\nFor example: jepa run "),
        (["run", "a", "--nonsense"], "Unknown option: --nonsense.\nFor example: jepa run "),
        (
            ["run", "a", "--epochs", "3"],
            "--epochs is no flag. A recipe's values are set so: --set train.epochs=…\nFor example: jepa run ",
        ),
        (
            ["run", "a", "--batch-size=3"],
            "--batch-size is no flag. A recipe's values are set so: --set train.batch_size=…",
        ),
        (["eval", "--step"], "--step has no value.\nFor example: jepa eval "),
        (["nonsense"], 'Unknown command "nonsense".'),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_type_instead(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert complaint(capsys, *arguments).startswith(said)


def test_the_first_steps_need_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    program()(["--help"])
    assert "First steps: jepa run quickstart," in capsys.readouterr().out
    program("verdict")(["verdict", "--help"])  # whoever asks for that has taken them
    assert "First steps" not in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_what_is_said_of_a_fault_is_as_wide_as_it_is(
    tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(SystemExit):
        main(["run", str(tiny_recipe_file), "--set", "train.epoch=4"])
    assert isinstance(sys.stderr, Terminal)
    said = [line for line in sys.stderr.getvalue().splitlines() if "│" in line]
    (fields,) = (number for number, line in enumerate(said) if "│ fields: epochs," in line)
    assert "│ " in said[fields + 1]
    assert max(map(len, said)) <= 60
