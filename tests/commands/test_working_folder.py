"""A working folder from somebody else: nothing of it is executed, by `jepa` or by the processes that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOK_ALIKE = (
    "torch", "numpy", "safetensors", "jepa_core", "jepa_plugins", "jepa_monitor", "rich", "textual", "orjson", "attrs",
    "cyclopts", "json", "tomllib", "multiprocessing", "sitecustomize", "usercustomize", "conftest", "plugin",
)  # fmt: skip
PROGRAMS = ("git", "nvidia-smi", "python", "torchrun", "ninja", "gcc")


@pytest.fixture
def strange(tmp_path: Path, tiny_recipe_file: Path) -> Path:
    """A folder with a recipe, and things that leave a file `executed` when they are run."""
    folder = tmp_path / "strange"
    folder.mkdir()
    tiny_recipe_file.rename(folder / "tiny.toml")
    leave = f"open({str(tmp_path / 'executed')!r}, 'a').write(__name__ + ' ')\n"
    for name in LOOK_ALIKE:
        (folder / f"{name}.py").write_text(leave)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {tmp_path / 'executed'}\n")
        (folder / name).chmod(0o755)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git" / "config").write_text(f'[core]\n\tfsmonitor = "touch {tmp_path / "executed"}"\n\tpager = ./git\n')
    (folder / ".env").write_text("PYTHONPATH=.\nJEPA_PLUGIN=plugin.py\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\n[project.entry-points.jepa]\nx = "plugin"\n')
    (folder / "jepa.egg-info").mkdir()
    (folder / "jepa.egg-info" / "entry_points.txt").write_text("[jepa]\nx = plugin\n")
    return folder


def executed(folder: Path, *arguments: str) -> str:
    """What of the folder was executed by `jepa ARGUMENTS`, called in it."""
    jepa = Path(sys.executable).with_name("jepa")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [jepa, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    marks = folder.parent / "executed"
    return marks.read_text() if marks.exists() else ""


def test_a_run_and_those_who_read_it_execute_nothing_of_it(strange: Path) -> None:
    assert executed(strange, "run", "tiny.toml", "--no-audit", "--set", "data.num_sequences=40") == ""
    for arguments in (["monitor", "--once"], ["checkpoints"]):
        assert executed(strange, *arguments) == ""


def test_processes_that_check_the_recipes_of_an_ablation_execute_nothing_of_it(strange: Path) -> None:
    plan = ["ablate", "tiny.toml", "--vary", "optimizer.lr=1e-3,1e-4", "--seeds", "1", "--dry-run"]
    assert executed(strange, *plan) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "tiny.toml", "--no-audit", "--processes", "2"],
        ["ablate", "tiny.toml", "--vary", "optimizer.lr=1e-3,1e-4", "--seeds", "1", "--runs-dir", "all"],
        ["audit", "tiny.toml"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_processes_that_train_execute_nothing_of_it(strange: Path, arguments: list[str]) -> None:
    assert executed(strange, *arguments) == ""
