"""What is said after Ctrl-C by commands that look at a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.commands import embed, evaluate, export, plot
from tests.run_directory.runs import record_run


def interrupted(*_: object) -> Path:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "flags", "told"),
    [
        ("embed", ["-o", "a.npz"], "Exit code 130: stopped by Ctrl-C (SIGINT). Nothing was written.\n"),
        ("export", ["-o", "a.pt2"], "Exit code 130: stopped by Ctrl-C (SIGINT). Nothing was written.\n"),
        ("plot", ["-o", "a.png"], "Exit code 130: stopped by Ctrl-C (SIGINT). Nothing was written.\n"),
        ("eval", [], "Exit code 130: stopped by Ctrl-C (SIGINT). Type the same command to begin again.\n"),
    ],
)
def test_ctrl_c_is_answered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    flags: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (embed, export, plot, evaluate):
        monkeypatch.setattr(module, "find_run", interrupted)
    with pytest.raises(SystemExit) as ended:
        main([command, *flags])
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(("command", "name"), [("embed", "a.csv"), ("export", "a.pth"), ("plot", "a.gif")])
def test_a_name_that_cannot_be_written_is_refused_before_the_run_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    run = record_run(tmp_path / "run")  # its recipe is no whole one, so that it cannot be opened
    with pytest.raises(SystemExit):
        main([command, str(run), "-o", str(tmp_path / name)])
    assert f"{name} has the ending" in capsys.readouterr().err


def test_ctrl_c_while_something_is_imported_ends_the_process_though_the_import_swallows_what_is_raised(
    tmp_path: Path,
) -> None:
    plugin = tmp_path / "swallows.py"
    plugin.write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(1)\nexcept BaseException:\n    pass\n"
    )
    command = [sys.executable, "-m", "jepa_core.cli", "recipe", "show", "quickstart", "--plugin", str(plugin)]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (130, "")
    assert found.stderr == "Exit code 130: stopped by Ctrl-C (SIGINT). Type the same command to begin again.\n"
