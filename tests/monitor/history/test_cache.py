from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.run_directory.reading import RunReader
from jepa_monitor.history.cache import FILE, FOLDER, HistoryCache
from jepa_monitor.history.run_history import RunHistory
from tests.run_directory.runs import record_run, validation

ROWS = [
    {"step": 1, "epoch": 0.1, "loss": math.inf, "time.step": 0.5},
    {"step": 1, "epoch": 0.1},
    validation(2, 0.2, 0.4),
    {"step": 3, "loss": math.nan},
]


def read_all(run: Path) -> tuple[RunHistory, RunReader]:
    reader, history = RunReader(run), RunHistory()
    history.extend(reader.poll().rows)
    return history, reader


def cached_run(tmp_path: Path) -> tuple[Path, HistoryCache]:
    run = record_run(tmp_path / "mine", ROWS)
    cache = HistoryCache(run, tmp_path / "caches")
    history, reader = read_all(run)
    assert cache.save(history, reader.rows_position)
    return run, cache


def append(run: Path, content: bytes) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(content)


def assert_same(one: RunHistory, other: RunHistory) -> None:
    assert one.num_rows == other.num_rows
    np.testing.assert_equal(one.finals, other.finals)
    np.testing.assert_equal(one.rows(0, one.num_rows), other.rows(0, other.num_rows))
    ours, theirs = one.view(), other.view()
    assert ours.names == theirs.names
    for name in ours.names:
        for clock in ("steps", "epochs", "seconds", "values"):
            np.testing.assert_array_equal(
                getattr(ours.all_series[name], clock), getattr(theirs.all_series[name], clock)
            )


def test_a_history_from_the_cache_goes_on_as_one_that_read_every_row(tmp_path: Path) -> None:
    run, cache = cached_run(tmp_path)
    append(run, b'{"step": 4, "epoch": 0.4, "loss": 1.5, "new": 1}\n')
    cached = cache.load()
    assert cached is not None
    reader = RunReader(run)
    reader.go_on_from(cached.position)
    news = reader.poll()
    assert not news.rows_restarted
    cached.history.extend(news.rows)
    straight, _ = read_all(run)
    assert_same(cached.history, straight)


def test_it_lies_beside_the_run_as_one_file(tmp_path: Path) -> None:
    run, _ = cached_run(tmp_path)
    assert [path.name for path in (run / FOLDER).iterdir()] == [FILE]
    assert not (tmp_path / "caches").exists()


@pytest.mark.parametrize("in_the_way", ["a file", "a link"])
def test_a_run_that_cannot_be_written_has_its_cache_in_the_users_folder(tmp_path: Path, in_the_way: str) -> None:
    run = record_run(tmp_path / "mine", ROWS)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if in_the_way == "a file":
        (run / FOLDER).write_bytes(b"")
    else:
        (run / FOLDER).symlink_to(elsewhere)
    cache = HistoryCache(run, tmp_path / "caches")
    history, reader = read_all(run)
    assert cache.save(history, reader.rows_position)
    assert cache.load() is not None
    assert not list(elsewhere.iterdir())
    other = record_run(tmp_path / "other", ROWS)
    assert HistoryCache(other, tmp_path / "caches").load() is None


def test_a_cache_that_can_be_written_nowhere_is_none(tmp_path: Path) -> None:
    run = record_run(tmp_path / "mine", ROWS)
    (run / FOLDER).write_bytes(b"")
    (tmp_path / "caches").write_bytes(b"")
    cache = HistoryCache(run, tmp_path / "caches")
    history, reader = read_all(run)
    assert not cache.save(history, reader.rows_position)
    assert cache.load() is None


def test_a_run_that_was_deleted_is_not_brought_back_by_its_cache(tmp_path: Path) -> None:
    run, cache = cached_run(tmp_path)
    history, reader = read_all(run)
    shutil.rmtree(run)
    assert not cache.save(history, reader.rows_position)
    assert not run.exists()


@pytest.mark.parametrize("change", ["truncated", "first byte", "last byte", "replaced", "gone"])
def test_other_rows_have_no_cache(tmp_path: Path, change: str) -> None:
    run, cache = cached_run(tmp_path)
    path = run / "metrics.jsonl"
    content = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        changed = {
            "truncated": content[:-1],
            "first byte": b"[" + content[1:],
            "last byte": content[:-2] + b"]\n",
            "replaced": b'{"step": 7}\n' * 100,
        }
        path.write_bytes(changed[change])
    assert cache.load() is None


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_cache_is_no_cache(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    run, cache = cached_run(tmp_path_factory.mktemp("damaged"))
    path = run / FOLDER / FILE
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "insert"])):
        case "flip":
            bit = 1 << data.draw(st.integers(0, 7))
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        case "cut":
            path.write_bytes(content[:place])
        case "insert":
            path.write_bytes(content[:place] + b"x" + content[place:])
    assert cache.load() is None


@pytest.mark.slow
def test_a_million_rows_of_eight_series_open_in_half_a_second(tmp_path: Path) -> None:
    run = tmp_path / "big"
    run.mkdir()
    line = b'{"step": %d, "epoch": %d.5, "time.step": 0.1' + b"".join(b', "m%d": %%d.25' % n for n in range(7)) + b"}\n"
    with (run / "metrics.jsonl").open("wb") as file:
        file.writelines(line % (step, step // 100, *([step % 89] * 7)) for step in range(1_000_000))
    reader, history, more = RunReader(run), RunHistory(), True
    while more:
        news = reader.poll()
        more = news.more
        history.extend(news.rows)
    cache = HistoryCache(run)
    assert cache.save(history, reader.rows_position)
    started = time.process_time()
    cached = cache.load()
    assert cached is not None
    assert cached.history.view().all_series["m6"].values[-1] == 999_999 % 89 + 0.25
    assert time.process_time() - started < 0.5
