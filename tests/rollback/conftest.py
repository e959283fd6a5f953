"""What tests of rollbacks share: runs that were trained once, a copy for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.rollback.test_child import EVERY_STEP, start


def _trained(folder: Path, *overrides: str) -> Path:
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY)
    return start(recipe, *overrides).path


def _copied(run: Path, folder: Path) -> Path:
    return shutil.copytree(run.parent, folder / "runs") / run.name


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(tmp_path_factory.mktemp("once"), "checkpoint.every_steps=3")


@pytest.fixture(scope="session")
def trained_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(tmp_path_factory.mktemp("twice"), *EVERY_STEP)


@pytest.fixture
def parent(trained_once: Path, tmp_path: Path) -> Path:
    """A finished run of an epoch, with checkpoints at steps 3 and 6, alone in its folder."""
    return _copied(trained_once, tmp_path)


@pytest.fixture
def with_every_step(trained_twice: Path, tmp_path: Path) -> Path:
    """A finished run of two epochs with a checkpoint of each step, alone in its folder."""
    return _copied(trained_twice, tmp_path)
