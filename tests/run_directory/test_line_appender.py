from __future__ import annotations

import itertools
import math
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.line_appender import FAILURES_IN_A_ROW, LEAST_SECONDS, LineAppender


def steps_in(path: Path) -> list[int]:
    return [orjson.loads(line)["step"] for line in path.read_bytes().splitlines()]


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """A full disk: writes beyond the size fall short, then fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def ticking(seconds: float) -> Clock:
    """A clock on which so long passes from one look to the next."""
    times = itertools.count()
    return Clock(monotonic=lambda: next(times) * seconds)


SLOWLY = LEAST_SECONDS / (FAILURES_IN_A_ROW - 1)
"""Time between two lines so that the last of so many comes when it has been long enough."""


def test_each_record_is_one_line_and_non_finite_numbers_are_text(tmp_path: Path) -> None:
    appender = LineAppender(tmp_path / "m.jsonl")
    appender.append({"step": 1, "a": math.nan, "b": [math.inf, {"c": -math.inf}]})
    appender.close()
    assert (tmp_path / "m.jsonl").read_text() == '{"step":1,"a":"nan","b":["inf",{"c":"-inf"}]}\n'


def test_a_file_cut_at_any_byte_goes_on_after_its_last_complete_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    whole = b'{"step":1}\n{"step":2}\n{"step":3}\n'
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        appender = LineAppender(path)
        appender.append({"step": 9})
        appender.close()
        assert steps_in(path) == [*range(1, whole[:length].count(b"\n") + 1), 9]


def test_a_torn_line_longer_than_a_block_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"step":1}\n' + b"x" * 200_000)
    LineAppender(path).close()
    assert path.read_bytes() == b'{"step":1}\n'


def test_a_resume_drops_rows_later_than_the_checkpoint_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"step":1}\nbroken\n{"step":2}\n{"step":2,"val":1}\n{"step":3}\n{"step":4}\n{"st')
    appender = LineAppender(path)
    appender.keep_until(2)
    appender.append({"step": 3})
    appender.close()
    assert path.read_bytes() == b'{"step":1}\nbroken\n{"step":2}\n{"step":2,"val":1}\n{"step":3}\n'


@pytest.mark.parametrize("room", [0, 1, 5, 10])
def test_a_row_that_does_not_fit_leaves_no_stump_and_comes_with_the_next_one(tmp_path: Path, room: int) -> None:
    path, told = tmp_path / "m.jsonl", list[tuple[str, str]]()
    appender = LineAppender(path, lambda *said: told.append(said))
    appender.append({"step": 1})
    before = path.read_bytes()
    with files_of_at_most(len(before) + room):
        appender.append({"step": 2})
        appender.append({"step": 3})
        assert path.read_bytes() == before
    appender.append({"step": 4})
    appender.close()
    assert steps_in(path) == [1, 2, 3, 4]
    assert len(told) == 1
    assert str(path) in told[0][0]
    # Of a write that falls short nobody knows why.
    assert told[0][1] == ("Make room on the disk." if room else "Raise the limit on the size of files (ulimit -f).")


def test_a_full_disk_stops_the_run_after_five_failures_in_a_minute_with_path_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    appender = LineAppender(path, clock=ticking(SLOWLY))
    with files_of_at_most(0):
        for step in range(FAILURES_IN_A_ROW - 1):
            appender.append({"step": step})
        with pytest.raises(RunDirectoryError, match=rf"{path} cannot be written.*5 lines \(\d+ bytes\)"):
            appender.append({"step": FAILURES_IN_A_ROW})
        appender.close()


@pytest.mark.parametrize(("num_lines", "seconds"), [(600, 0.09), (FAILURES_IN_A_ROW - 1, 1000.0)])
def test_many_failures_in_little_time_and_few_in_much_stop_nothing(
    tmp_path: Path, num_lines: int, seconds: float
) -> None:
    path = tmp_path / "m.jsonl"
    appender = LineAppender(path, clock=ticking(seconds))
    with files_of_at_most(0):
        for step in range(num_lines):
            appender.append({"step": step})
    appender.close()
    assert steps_in(path) == list(range(num_lines))


def test_a_success_starts_the_count_of_failures_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    appender = LineAppender(path)
    for step in range(3 * FAILURES_IN_A_ROW):
        if step % FAILURES_IN_A_ROW:
            with files_of_at_most(path.stat().st_size):
                appender.append({"step": step})
        else:
            appender.append({"step": step})
    appender.close()
    assert steps_in(path) == list(range(3 * FAILURES_IN_A_ROW))


def test_what_still_waits_is_written_when_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    appender = LineAppender(path)
    with files_of_at_most(0):
        appender.append({"step": 1})
    appender.close()
    appender.close()
    assert steps_in(path) == [1]


def test_a_directory_that_is_not_there_is_an_error_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=os.fspath(tmp_path / "gone")):
        LineAppender(tmp_path / "gone" / "m.jsonl")


def delete(path: Path) -> None:
    path.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def edit(path: Path) -> None:
    """As an editor does, which leaves the last line open."""
    (anew := path.with_name("anew")).write_bytes(b'{"step":0}\n{"st')
    anew.replace(path)


@pytest.mark.parametrize(("harm", "left"), [(delete, []), (move_away, []), (edit, [0])])
def test_a_file_that_is_no_longer_there_is_gone_on_with_and_told_of(
    tmp_path: Path, harm: Callable[[Path], None], left: list[int]
) -> None:
    path, told = tmp_path / "m.jsonl", list[tuple[str, str]]()
    appender = LineAppender(path, on_loss=lambda *said: told.append(said))
    appender.append({"step": 1})
    harm(path)
    for step in (2, 3):
        appender.append({"step": step})
    appender.sync()
    appender.close()
    assert steps_in(path) == [*left, 2, 3]
    ((message, advice),) = told
    assert message.startswith(f"{path} was deleted or replaced while it was written")
    assert advice == "See to it that nothing deletes files of a run."


def test_of_a_folder_that_is_deleted_or_moved_nothing_is_made_anew_at_its_old_path(tmp_path: Path) -> None:
    folder, told = tmp_path / "run", list[tuple[str, str]]()
    folder.mkdir()
    appender = LineAppender(folder / "m.jsonl", lambda *said: told.append(said))
    moved = folder.rename(tmp_path / "moved")
    folder.mkdir()
    (moved / "m.jsonl").unlink()
    appender.append({"step": 1})
    assert steps_in(moved / "m.jsonl") == [1]
    shutil.rmtree(moved)
    appender.append({"step": 2})
    appender.close()
    assert not list(folder.iterdir())
    assert len(told) == 1
