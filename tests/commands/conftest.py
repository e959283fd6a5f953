"""What tests of commands share: a run that was trained once, and a folder of runs that are rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jepa_core.registry import installed
from tests.commands.reading import called
from tests.commands.rolled_back import Runs
from tests.conftest import TINY


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as the trainer leaves it, with checkpoints and a verdict."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.toml").write_text(TINY)
    ended = called(
        ["run", str(folder / "tiny.toml"), "--runs-dir", str(folder / "runs"), "--no-audit",
         "--set", "checkpoint.every_steps=2"]
    )  # fmt: skip
    assert ended.code in (0, 4), ended.said
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    yield Runs(tmp_path / "runs")
    installed.cache_clear()
