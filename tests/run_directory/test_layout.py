from __future__ import annotations

import os
from pathlib import Path

from jepa_core.run_directory.layout import is_run, rank_metrics, recorded_ranks
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.summary import summarise
from tests.run_directory.runs import record_run, validation


def test_ranks_are_listed_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for rank in (10, 0, 2, 1):
        (tmp_path / rank_metrics(rank)).touch()
    assert recorded_ranks(tmp_path) == (0, 1, 2, 10)


def test_what_only_looks_like_a_ranks_file_is_none(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "metrics.rank01.jsonl", "metrics.rank-1.jsonl", "metrics.rank².jsonl",
                 "metrics.rank1.jsonl.bak", "metrics.rank1234567890123.jsonl"):  # fmt: skip
        (tmp_path / name).touch()
    (tmp_path / rank_metrics(3)).mkdir()
    os.mkfifo(tmp_path / rank_metrics(4))
    (tmp_path / rank_metrics(5)).symlink_to(tmp_path / "nowhere")
    assert recorded_ranks(tmp_path) == ()
    assert recorded_ranks(tmp_path / "gone") == ()


def test_the_rows_of_ranks_are_neither_a_run_nor_rows_of_one(tmp_path: Path) -> None:
    ranks_alone = tmp_path / "ranks"
    ranks_alone.mkdir()
    (ranks_alone / rank_metrics(0)).touch()
    assert not is_run(ranks_alone)
    path = record_run(tmp_path / "mine", [validation(10, 1.0, 0.4)])
    (path / rank_metrics(1)).write_text('{"step": 20, "epoch": 2, "val.retrieval.mrr": 0.9}\n')
    assert [row["step"] for row in RunReader(path).rows()] == [10]
    assert summarise(path).best_mrr == 0.4


def test_the_best_of_a_run_is_of_the_model_that_it_has(tmp_path: Path) -> None:
    """Rows before a rollback that made weights start anew are of another one."""
    rows = [validation(10, 1.0, 0.9), {"step": 20, "epoch": 2.0, "anew": 4.0}]
    assert summarise(record_run(tmp_path / "before", rows[:1])).best_mrr == 0.9
    assert summarise(record_run(tmp_path / "between", rows)).best_mrr is None
    assert summarise(record_run(tmp_path / "after", [*rows, validation(30, 3.0, 0.3)])).best_mrr == 0.3
