"""`jepa plugins new`: what it asks, refuses and prints. That what it writes works is tested with the scaffold."""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.commands.plugins_new import new as command
from jepa_core.hookspecs import FAMILIES


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def new(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of `jepa plugins new …`."""
    with pytest.raises(SystemExit) as caught:
        main(["plugins", "new", *arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def test_it_writes_a_distribution_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "my plugin"
    code, out, _ = new(capsys, str(folder), "--family", "aggregator", "--name", "my_mean")
    assert code == 0
    assert (folder / "jepa_my_mean" / "my_mean.py").is_file()
    commands = [shlex.split(line) for line in re.findall(r"^  (.*)$", out, re.MULTILINE)]
    assert commands == [
        ["cd", str(folder)],
        ["pip", "install", "-e", "."],
        ["jepa", "plugins", "check", "my_mean"],
        ["jepa", "run", "recipes/quickstart.toml", "--set", "aggregator.kind=my_mean"],
    ]
    assert (folder / "recipes" / "quickstart.toml").is_file()


def test_what_no_flag_says_is_asked_for_on_a_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("loss\nmy_loss\n"))
    code, out, _ = new(capsys, str(tmp_path / "asked"))
    assert code == 0
    assert "Family (dataset, augmentation, encoder, quantizer" in out
    assert (tmp_path / "asked" / "jepa_my_loss" / "my_loss.py").is_file()


@pytest.mark.parametrize("typed", ["", "loss\n", "loss\n\n"])
def test_no_answer_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    code, _, err = new(capsys, str(tmp_path / "silent"))
    assert (code, "nothing was written" in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("flags", "missing"), [((), "--family"), (("--family", "loss"), "--name")])
def test_without_a_terminal_the_missing_flag_is_named(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    missing: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, err = new(capsys, str(tmp_path / "x"), *flags)
    assert (code, err.startswith(f"{missing} is missing")) == (2, True)


@pytest.mark.parametrize(
    ("family", "name", "reason"),
    [
        ("loss", "info_nce", "has the loss 'info_nce' already"),
        ("loss", "core", "A package jepa_core is installed already"),
        ("los", "mine", "Families: dataset"),
        ("loss", "My-Loss", "cannot be a component's"),
    ],
)
def test_a_name_or_family_that_cannot_be_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, family: str, name: str, reason: str
) -> None:
    code, _, err = new(capsys, str(tmp_path / "x"), "--family", family, "--name", name)
    assert (code, reason in err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    (tmp_path / "mine.txt").write_text("mine")
    code, out, err = new(capsys, str(tmp_path))
    assert (code, out, "is not empty" in err) == (2, "", True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_help_names_every_family() -> None:
    assert [family for family in FAMILIES if family not in (command.__doc__ or "")] == []
