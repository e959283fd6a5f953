"""A run that gets signals at random instants ends as one does that never got any."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.engine.killed_runs import Sender
from tests.engine.test_session import Sessions

LONG = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """With a run that got no signal."""
    threads = torch.get_num_threads()
    yield Sender(tmp_path_factory.mktemp("killed"))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("number", [12, pytest.param(300, marks=LONG)])
def test_whenever_a_run_is_killed_it_ends_with_the_state_rows_and_verdict_of_one_that_never_was(
    sender: Sender, number: int
) -> None:
    assert sender.num_differing(number, [signal.SIGKILL]) == 0


@pytest.mark.parametrize("number", [8, pytest.param(100, marks=LONG)])
def test_whenever_a_run_is_asked_to_stop_or_save_it_loses_no_finished_step_and_ends_as_one_that_never_was(
    sender: Sender, number: int
) -> None:
    assert sender.num_differing(number, [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]) == 0


def test_a_run_that_was_killed_while_it_deleted_its_last_old_checkpoint_finishes_that(tiny_recipe_file: Path) -> None:
    sessions = Sessions(tiny_recipe_file)
    run = sessions.start("checkpoint.every_steps=1", "checkpoint.keep=2").path
    folder = run / "checkpoints"
    whole = sorted(path.name for path in folder.iterdir())
    (folder / "step-3").mkdir()
    (folder / "step-3" / "manifest.json").write_bytes((folder / "step-6" / "manifest.json").read_bytes())
    (folder / ".step-6.partial").mkdir()
    (run / "verdict.json").unlink()
    assert sessions.resume(run).ending.kind == "finished"
    assert sorted(path.name for path in folder.iterdir()) == whole
