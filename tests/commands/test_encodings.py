"""Neither an encoding that lacks what a name has nor a stream that was closed ends a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.run_directory.reading import RunReader
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


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_a_closed_stream_would_get_is_dropped(folder: Path, closed: str) -> None:
    command = ["bash", "-c", f'"$0" -m jepa_core "$@" {closed}', sys.executable]
    listed = subprocess.run([*command, "runs"], cwd=folder, capture_output=True, check=False)
    assert (listed.returncode, listed.stderr) == (0, b"")
    refused = subprocess.run([*command, "verdict", "nope"], cwd=folder, capture_output=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"No run") or "2>&-" in closed


@pytest.mark.slow
def test_a_run_with_closed_streams_runs(folder: Path, tiny_recipe_file: Path) -> None:
    command = ["bash", "-c", '"$0" -m jepa_core run "$@" <&- >&- 2>&-', sys.executable]
    done = subprocess.run([*command, tiny_recipe_file.name, "--no-audit"], cwd=folder, check=False)
    (run,) = (found for found in (folder / "runs").iterdir() if found.name != NAME)
    assert done.returncode in {0, 4}
    assert RunReader(run).verdict() is not None
