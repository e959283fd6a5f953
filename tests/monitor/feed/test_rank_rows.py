from __future__ import annotations

import os
from pathlib import Path

import pytest

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.layout import rank_metrics
from jepa_monitor.feed import rank_rows
from jepa_monitor.feed.live import LiveFeed
from jepa_monitor.feed.rank_rows import NEWEST_ROWS, RankFiles, RankRows
from jepa_monitor.feed.replay import ReplayFeed
from tests.monitor.rank_files import append_rows, rank_row, record_ranks
from tests.run_directory.runs import record_run


def steps(recorded: RankRows) -> list[float]:
    return [row["step"] for row in recorded.rows]


def test_each_rank_gives_its_newest_rows_and_then_what_comes(tmp_path: Path) -> None:
    files = RankFiles(record_ranks(tmp_path, 2, steps=20))
    assert [(each.rank, steps(each)) for each in files.content] == [(0, [10, 20]), (1, [10, 20])]
    before = files.content
    assert not files.refresh()
    assert files.content is before
    append_rows(tmp_path, 1, rank_row(1, 30))
    assert files.refresh()
    assert [steps(each) for each in files.content] == [[10, 20], [10, 20, 30]]
    assert files.content[0].rows[0]["loss.total"] == rank_row(0, 10)["loss.total"]


def test_a_rank_that_joins_later_is_seen_and_one_whose_file_is_gone_is_not(tmp_path: Path) -> None:
    files = RankFiles(record_ranks(tmp_path, 2, steps=10))
    append_rows(tmp_path, 10, rank_row(10, 10))
    append_rows(tmp_path, 9, rank_row(9, 10))
    assert files.refresh()
    assert [each.rank for each in files.content] == [0, 1, 9, 10]
    (tmp_path / rank_metrics(0)).unlink()
    assert files.refresh()
    assert [each.rank for each in files.content] == [1, 9, 10]


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    path = record_ranks(tmp_path, 1, steps=50_000) / rank_metrics(0)
    whole = path.stat().st_size
    files = RankFiles(tmp_path)
    expected = [50_000 - 10 * back for back in reversed(range(NEWEST_ROWS))]
    assert steps(files.content[0]) == expected
    with path.open("r+b") as file:  # what lies before is not looked at
        file.seek(1000)
        file.write(b"x" * (whole // 2))
    files = RankFiles(tmp_path)
    assert steps(files.content[0]) == expected
    append_rows(tmp_path, 0, rank_row(0, 50_010))
    files.refresh()
    assert steps(files.content[0]) == [*expected[1:], 50_010]


@pytest.mark.parametrize("size", [20, 30_000], ids=["short", "long"])
def test_rows_that_a_resume_dropped_are_forgotten(tmp_path: Path, size: int) -> None:
    path = record_ranks(tmp_path, 1, steps=size) / rank_metrics(0)
    files = RankFiles(tmp_path)
    kept = path.read_bytes().splitlines(keepends=True)[:-1]
    path.write_bytes(b"".join(kept))
    append_rows(tmp_path, 0, rank_row(0, size + 5), rank_row(0, size + 15))
    assert files.refresh()
    assert steps(files.content[0])[-3:] == [size - 10, size + 5, size + 15]


def test_lines_that_are_no_rows_and_rows_without_a_step_are_passed_over(tmp_path: Path) -> None:
    append_rows(tmp_path, 0, rank_row(0, 10))
    with (tmp_path / rank_metrics(0)).open("ab") as file:
        file.write(b'\xff{\n[1]\n{"loss.total": 1}\n{"step": "nan"}\n{"step": "inf"}\n')
        file.write(b'{"step": 20, "loss.total": "nan", "other": 1, "time.step": "text"}\n{"step": 3')
    (content,) = RankFiles(tmp_path).content
    assert steps(content) == [10, 20]
    assert set(content.rows[1]) == {"step", "loss.total"}


def test_a_pipe_in_place_of_a_file_blocks_nobody(tmp_path: Path) -> None:
    files = RankFiles(record_ranks(tmp_path, 1, steps=10))
    (tmp_path / rank_metrics(0)).unlink()
    os.mkfifo(tmp_path / rank_metrics(0))
    files.refresh()
    assert files.content == ()


def test_a_live_run_has_its_ranks_and_new_rows_are_news(tmp_path: Path) -> None:
    path = record_ranks(record_run(tmp_path / "mine", [{"step": 10}]), 2, steps=10)
    feed = LiveFeed(path)
    first = feed.poll().surroundings
    assert [each.rank for each in first.ranks] == [0, 1]
    assert feed.poll().surroundings is first
    append_rows(path, 0, rank_row(0, 20))
    now = feed.poll().surroundings
    assert steps(now.ranks[0]) == [10, 20]
    assert now.recipe is first.recipe


def test_a_replay_has_the_ranks_as_they_were_at_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_rows, "_PART_BYTES", 300)  # rows lie across parts
    rows = [{"step": step, "time.step": 1.0} for step in range(1, 401)]
    path = record_ranks(record_run(tmp_path / "mine", rows), 2, silent={1: 30})
    ticks = [0.0]
    feed = ReplayFeed(path, clock=Clock(monotonic=lambda: ticks[0]))
    assert [steps(each) for each in feed.poll().surroundings.ranks] == [[], []]
    ticks[0] += 45.5
    middle = feed.poll().surroundings
    assert [steps(each) for each in middle.ranks] == [[10, 20, 30, 40], [10, 20, 30]]
    assert feed.poll().surroundings is middle
    feed.to_end()
    assert steps(feed.poll().surroundings.ranks[0])[-1] == 400
    feed.to_start()
    assert [steps(each) for each in feed.poll().surroundings.ranks] == [[], []]
