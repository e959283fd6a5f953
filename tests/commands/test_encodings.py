"""On a terminal whose encoding lacks what a name has, no command ends for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run_directory.runs import record_run, validation

NAME = "größe-漢字"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record_run(tmp_path / "runs" / NAME, [validation(1, 1.0, 0.5)], exit_code=0)
    (tmp_path / f"{NAME}.toml").write_text('extends = "quickstart"\nname = "a"\n', encoding="utf-8")
    return tmp_path


def jepa(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "jepa_core", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return done.stdout.decode("ascii")


def test_tables_and_sentences_degrade(folder: Path) -> None:
    assert "gr??e-??" in jepa(folder, "runs")
    assert "watching gr??e-??" in jepa(folder, "watch", f"runs/{NAME}")
    assert "is in order" in jepa(folder, "recipe", "check", f"{NAME}.toml")


def test_json_says_the_same(folder: Path) -> None:
    assert [entry["name"] for entry in json.loads(jepa(folder, "runs", "--json"))] == [NAME]
