from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jepa_core.ablation.folder import AblationFolder
from jepa_core.ablation.plan import Outcome
from jepa_core.ablation.scheduling import jobs_of
from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.status import State
from tests.ablation.results import a_plan
from tests.run_directory.runs import record_run, validation

PLAN = a_plan({"aggregator.kind": ("mean", "attention")}, 1)
FIRST, SECOND = PLAN.runs


@pytest.fixture
def folder(tmp_path: Path) -> AblationFolder:
    made = AblationFolder.of(tmp_path, PLAN)
    made.lock().release()
    made.record({cell: f'name = "{cell.name}"\n' for cell in PLAN.cells})
    return made


def a_run(folder: AblationFolder, state: State, date: str = "20260101-000000", **status: Any) -> Path:
    """A run of the first cell."""
    return record_run(
        folder.path / f"{FIRST.name}-{date}", [validation(1, 1.0, 0.4)], name=FIRST.name, state=state, **status
    )


def test_a_folder_is_found_by_its_fingerprint_and_remembers(folder: AblationFolder, tmp_path: Path) -> None:
    folder.note(FIRST, Outcome(exit_code=1, message="no data"))
    again = AblationFolder.of(tmp_path, PLAN)
    assert again.path.name == "ablate-mine-00000000"
    assert [(run.state, run.why) for run in again.runs()] == [("failed", "no data"), ("waiting", "")]
    assert AblationFolder.recorded(folder.path).plan == PLAN


@pytest.mark.parametrize(
    ("state", "shown", "left", "left_with_retry"),
    [
        ("finished", "finished", False, False),
        ("interrupted", "interrupted", True, True),
        ("aborted", "aborted", False, True),
        ("failed", "failed", False, True),
    ],
)
def test_what_is_left_to_do_depends_on_how_far_a_run_came(
    folder: AblationFolder, state: State, shown: str, left: bool, left_with_retry: bool
) -> None:
    a_run(folder, state)
    runs = folder.runs()
    assert runs[0].state == shown
    assert (FIRST in [job.planned for job in jobs_of(runs)]) is left
    assert (FIRST in [job.planned for job in jobs_of(runs, retry_failed=True)]) is left_with_retry
    assert SECOND in [job.planned for job in jobs_of(runs)]


def test_a_run_whose_process_is_gone_goes_on_from_its_checkpoint(folder: AblationFolder) -> None:
    path = a_run(folder, "running", pid=2**22 + 1)
    assert jobs_of(folder.runs())[0].resume is None
    (path / "checkpoints" / "step-1").mkdir(parents=True)
    assert jobs_of(folder.runs())[0].resume == path


def test_a_run_that_still_goes_on_elsewhere_is_left_alone(folder: AblationFolder) -> None:
    a_run(folder, "running")
    with pytest.raises(RunDirectoryError, match="is still running"):
        jobs_of(folder.runs())


def test_a_resume_that_failed_is_not_tried_for_ever(folder: AblationFolder) -> None:
    a_run(folder, "interrupted")
    folder.note(FIRST, Outcome(exit_code=1, message="no checkpoint in it can be used"))
    assert folder.run(FIRST).state == "failed"
    folder.begin(FIRST)
    assert folder.run(FIRST).state == "interrupted"


def test_the_newest_directory_of_a_run_counts(folder: AblationFolder) -> None:
    a_run(folder, "failed")
    newer = a_run(folder, "finished", "20260102-000000")
    assert folder.run(FIRST).path == newer
    assert folder.run(FIRST).state == "finished"


def test_a_run_that_a_signal_ended_before_it_trained_simply_waits(folder: AblationFolder) -> None:
    folder.note(FIRST, Outcome(exit_code=-2))
    assert folder.run(FIRST).state == "waiting"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"name": 1}', b"\xff"])
def test_a_damaged_plan_is_told(folder: AblationFolder, content: bytes) -> None:
    (folder.path / "ablation.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"ablation\.json is damaged"):
        AblationFolder.recorded(folder.path)


def test_another_folder_is_no_ablation(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is no ablation's folder"):
        AblationFolder.recorded(tmp_path)


def test_one_process_at_a_time_has_the_folder(folder: AblationFolder, tmp_path: Path) -> None:
    with folder.lock(), pytest.raises(RunDirectoryError, match="is in use by process"):
        AblationFolder.of(tmp_path, PLAN).lock()


def test_what_was_recorded_before_the_lock_was_taken_counts(folder: AblationFolder, tmp_path: Path) -> None:
    late = AblationFolder.of(tmp_path, PLAN)
    folder.note(FIRST, Outcome(exit_code=1, message="no data"))
    with late.lock():
        assert late.run(FIRST).why == "no data"
