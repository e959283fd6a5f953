"""What tests of pages share: a run of the recipe that the pages train, small."""

from __future__ import annotations

from pathlib import Path

import pytest

import jepa_core as jepa
from jepa_core.engine.device import numerics_kept

SMALL = {"train.epochs": 1, "data.num_sequences": 300}


@pytest.fixture(scope="session")
def runs_of_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one of `digits`, to be copied."""
    folder = tmp_path_factory.mktemp("digits") / "runs"
    with numerics_kept():
        jepa.train(jepa.recipe("digits", set=SMALL), device="cpu", audit=False, runs_dir=folder)
    return folder
