from __future__ import annotations

import shutil
import time
from pathlib import Path

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.status import STALE_SECONDS
from jepa_core.run_directory.summary import summarise
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_monitor.model.runs_list import RunsList, list_runs
from tests.run_directory.runs import record_run, validation


def test_the_runs_of_a_folder_are_listed_newest_first(tmp_path: Path) -> None:
    old = {"epoch": 1.0, "val.retrieval.mrr": 0.3, "val.retrieval.baseline_mrr": 0.346}
    record_run(tmp_path / "b-20260101-000000", [old, old | {"epoch": 2.0, "val.retrieval.mrr": 0.2}])
    record_run(tmp_path / "a-20260102-000000")
    (tmp_path / "notes").mkdir()
    newest, oldest = list_runs(tmp_path)
    assert (newest.name, newest.best_mrr) == ("a-20260102-000000", None)
    assert (oldest.name, oldest.best_mrr, oldest.null_mrr, oldest.null) == (
        "b-20260101-000000",
        0.3,
        0.346,
        "equal_cells",
    )
    assert list_runs(tmp_path / "nowhere") == ()


def test_it_follows_new_rows_truncation_verdicts_and_runs_that_come_and_go(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine-20260101-000000", [validation(1, 1.0, 0.3), validation(2, 2.0, 0.5)])
    runs = RunsList(tmp_path)
    assert [run.best_mrr for run in runs.refresh()] == [0.5]
    with RunWriter(path, resume_at=1) as run:
        run.row(validation(2, 2.0, 0.4))
        run.write_verdict(reach_verdict(Judge(Watch()), run=path))
        run.status.update(state="finished", exit_code=0)
    record_run(tmp_path / "other-20260102-000000")
    other, mine = runs.refresh()
    assert (mine.best_mrr, mine.outcome, mine.exit_code) == (0.4, "no baseline", 0)
    assert mine == summarise(path)
    assert other.outcome == ""
    shutil.rmtree(path)
    assert [run.name for run in runs.refresh()] == ["other-20260102-000000"]


def test_a_state_grows_old_though_no_file_changes(tmp_path: Path) -> None:
    record_run(tmp_path / "mine-20260101-000000", state="running", host="elsewhere")
    now = [time.time()]
    runs = RunsList(tmp_path, Clock(now=lambda: now[0]))
    assert runs.refresh()[0].state == "running"
    now[0] += STALE_SECONDS + 5
    assert runs.refresh()[0].state == "stale"


def test_rows_that_were_read_are_not_read_again(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine-20260101-000000", [validation(step, 1.0, 0.3) for step in range(20_000)])
    runs = RunsList(tmp_path)

    def seconds() -> float:
        started = time.perf_counter()
        runs.refresh()
        return time.perf_counter() - started

    first = seconds()
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 1, "val.retrieval.mrr": 0.9}\n')
    assert seconds() < first / 4
    assert runs.refresh()[0].best_mrr == 0.9
