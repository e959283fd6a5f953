from __future__ import annotations

import fcntl
import itertools
import math
import os
import shutil
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.recorded_numbers import decode_row
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.environment import describe_environment
from jepa_core.run_directory.events import EventsWriter
from jepa_core.run_directory.line_appender import LineAppender
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import read_status
from jepa_core.run_directory.writing import MetricsWriter, RunWriter
from jepa_core.watch.findings import Finding
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Abort, Watch
from tests.run_directory.runs import record_run, validation
from tests.run_directory.test_line_appender import files_of_at_most


def test_what_a_run_writes_is_read_back(tmp_path: Path) -> None:
    rows = [{"step": 1, "epoch": 0.5, "loss.total": math.inf}, validation(2, 1.0, 0.4)]
    reader = RunReader(record_run(tmp_path / "mine", rows, exit_code=0))
    assert list(reader.rows()) == [decode_row(row) for row in rows]
    assert [event.name for event in reader.events()] == ["started"]
    assert reader.recipe()["name"] == "mine"
    assert reader.environment() == {"data_fingerprint": "data-1"}
    assert reader.state() == "finished"
    assert reader.verdict() is None


def test_every_file_of_the_design_is_there(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [validation(1, 1.0, 0.4)])
    with RunWriter(path) as run:
        run.console_log.write("epoch 1\n")
        run.diagnosis({"step": 1, "spectrum": [1.0, math.nan]})
        run.write_verdict(reach_verdict(Judge(Watch()), run=path))
    assert {file.name for file in path.iterdir()} == {
        "recipe.toml", "environment.json", "metrics.jsonl", "events.jsonl", "diagnostics.jsonl",
        "console.log", "status.json", "verdict.json", "run.lock",
    }  # fmt: skip
    assert orjson.loads((path / "diagnostics.jsonl").read_bytes())["spectrum"] == [1.0, "nan"]
    assert (path / "console.log").read_text() == "epoch 1\n"


def test_one_process_at_a_time_writes_a_run(tmp_path: Path) -> None:
    with RunWriter(tmp_path), pytest.raises(RunDirectoryError, match="in use by process"):
        RunWriter(tmp_path)
    RunWriter(tmp_path).close()


def test_a_writer_that_cannot_open_all_its_files_lets_the_lock_go(tmp_path: Path) -> None:
    (tmp_path / "diagnostics.jsonl").mkdir()
    with pytest.raises(RunDirectoryError, match=r"diagnostics\.jsonl"):
        RunWriter(tmp_path)
    (tmp_path / "diagnostics.jsonl").rmdir()
    RunWriter(tmp_path).close()


def test_a_killed_and_resumed_run_has_the_rows_of_a_straight_one(tmp_path: Path) -> None:
    rows = [{"step": step, "epoch": step / 10, "loss.total": 1 / step} for step in range(1, 11)]
    straight = record_run(tmp_path / "straight", rows)
    for killed_after in range(11):
        killed = record_run(tmp_path / f"killed-{killed_after}", rows[:killed_after], state="running")
        with (killed / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 99, "ep')
        checkpoint = killed_after // 3 * 3
        with RunWriter(killed, resume_at=checkpoint) as run:
            for row in rows[checkpoint:]:
                run.row(row)
        assert (killed / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()


def test_a_reader_of_a_resumed_run_forgets_the_rows_that_were_dropped(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [{"step": step} for step in range(1, 6)])
    reader = RunReader(path)
    assert [row["step"] for row in reader.poll().rows] == [1, 2, 3, 4, 5]
    with RunWriter(path, resume_at=3) as run:
        run.row({"step": 4, "again": 1})
    news = reader.poll()
    assert news.rows_restarted
    assert [row["step"] for row in news.rows] == [1, 2, 3, 4]


def test_events_are_numbered_on_over_a_resume_whatever_the_clock_says(tmp_path: Path) -> None:
    first = EventsWriter(tmp_path, Clock(now=lambda: 5_000.0))
    first.write("started", "go")
    first.write("checkpoint", "saved", step=10)
    first.close()
    second = EventsWriter(tmp_path, Clock(now=lambda: 1_400.0))
    second.write("resumed", "", severity="warning", evidence={"loss": math.nan}, advice="look")
    second.close()
    events = [orjson.loads(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()]
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert events[2] == {
        "sequence": 3, "time": 1_400.0, "step": None, "epoch": None, "severity": "warning", "name": "resumed",
        "message": "", "evidence": {"loss": "nan"}, "advice": "look",
    }  # fmt: skip


def test_a_firing_becomes_an_event_with_its_evidence(tmp_path: Path) -> None:
    judge = Judge(Watch(abort=(Abort(id="collapse", when="vq.usage < 0.05", advice="Refresh less."),)))
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        for firing in judge.observe({"step": 7, "epoch": 1.0, "vq.usage": 0.01}):
            run.firing(firing)
    (event,) = RunReader(path).last_events(1)
    assert (event.name, event.severity, event.step, event.advice) == ("abort collapse", "critical", 7, "Refresh less.")
    assert event.evidence["rows"] == [{"step": 7.0, "epoch": 1.0, "vq.usage": 0.01}]


def test_a_metrics_file_that_cannot_be_written_is_told_as_an_event(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with RunWriter(path) as run:
        with files_of_at_most(0):
            run.row({"step": 1})
        run.row({"step": 2})
    failed = [event for event in RunReader(path).events() if event.name == "write failed"]
    assert len(failed) == 1
    assert failed[0].severity == "critical"


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl", "diagnostics.jsonl"])
def test_a_file_that_is_deleted_while_it_is_written_is_told_as_an_event(tmp_path: Path, name: str) -> None:
    path, told = record_run(tmp_path / "mine"), list[Finding]()
    with RunWriter(path) as run:
        run.tell_loss = told.append
        run.row({"step": 1})
        run.event("started", "info", "It starts.")
        run.diagnosis({"step": 1})
        (path / name).unlink()
        run.row({"step": 2})
        run.event("finished", "info", "It ends.")
        run.diagnosis({"step": 2})
    (lost,) = [event for event in RunReader(path).events() if event.name == "lines lost"]
    (found,) = told
    assert (found.name, found.message, found.advice) == (f"lines lost {name}", lost.message, lost.advice)
    assert lost.message.startswith(f"{path / name} was deleted")
    assert [row["step"] for row in RunReader(path).rows()][-1] == 2
    assert b"finished" in (path / "events.jsonl").read_bytes()


@pytest.mark.parametrize("is_at_the_end", [False, True])
@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "events.jsonl", "diagnostics.jsonl", "metrics.rank0.jsonl", "console.log"]
)
def test_a_file_of_lines_that_is_deleted_after_its_last_line_is_noticed_within_a_second_and_at_the_end(
    tmp_path: Path, name: str, *, is_at_the_end: bool
) -> None:
    seconds, path = [0.0], record_run(tmp_path / "mine")
    with RunWriter(path, clock=Clock(monotonic=lambda: seconds[0])) as run:
        run.beside(LineAppender(path / "metrics.rank0.jsonl")).append({"step": 1})
        run.row({"step": 1})
        run.diagnosis({"step": 1})
        (path / name).unlink()
        if not is_at_the_end:
            seconds[0] = 1.5
            run.heartbeat(1, 0.1)
            assert (path / name).exists()
            run.console_log.write("in the new one\n")
    (lost,) = [event for event in RunReader(path).events() if event.name == "lines lost"]
    assert lost.message.startswith(f"{path / name} was deleted")
    assert (path / name).exists()
    if not is_at_the_end:
        assert (path / "console.log").read_text() == "in the new one\n"


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("name", ["recipe.toml", "environment.json", "rollback.json"])
def test_a_file_that_is_written_once_is_written_again_where_somebody_deletes_it(
    tmp_path: Path, name: str, *, is_resumed: bool
) -> None:
    path, told = record_run(tmp_path / "mine"), list[Finding]()
    (path / "rollback.json").write_text('{"parent": "before"}')
    before = (path / name).read_bytes()
    with RunWriter(path) as run:
        run.tell_loss = told.append
        if not is_resumed and name == "recipe.toml":
            run.write_recipe((before := b'name = "other"\n').decode())
        (path / name).unlink()
        run.look_for_files()
        run.look_for_files()
    assert (path / name).read_bytes() == before
    (deleted,) = [event for event in RunReader(path).events() if event.name == "file deleted"]
    assert (
        deleted.message
        == f"{path / name} was deleted or replaced while the run went on: it is written again, as it was."
    )
    (found,) = told
    assert (found.name, found.message, found.advice) == (f"file deleted {name}", deleted.message, deleted.advice)


@pytest.mark.parametrize(
    "obstacle", [os.mkdir, os.mkfifo, partial(os.symlink, "/dev/zero")], ids=["a folder", "a pipe", "a link"]
)
@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "events.jsonl", "diagnostics.jsonl", "console.log", "recipe.toml", "status.json"]
)
def test_what_somebody_puts_in_a_file_s_place_is_put_aside_and_the_run_goes_on(
    tmp_path: Path, name: str, obstacle: Callable[[Path], None]
) -> None:
    seconds, path = [0.0], record_run(tmp_path / "mine")
    with RunWriter(path, clock=Clock(monotonic=lambda: seconds[0])) as run:
        run.row({"step": 1})
        (path / name).unlink()
        obstacle(path / name)
        seconds[0] = 1.5
        run.heartbeat(1, 0.1)
        run.row({"step": 2})
        run.event("finished", "info", "It ends.")
        run.status.update(state="finished")
    assert (path / name).is_file()
    assert not (path / name).is_symlink()
    assert next(file.name for file in path.iterdir() if ".put-aside-" in file.name).startswith(name)
    told = [event.name for event in RunReader(path).events()]
    assert told[-1] == "finished"
    assert name == "status.json" or {"lines lost", "file deleted"} & set(told)
    assert [row["step"] for row in RunReader(path).rows()][-1] == 2
    status = read_status(path)
    assert status is not None
    assert status.state == "finished"


def test_a_deleted_file_that_the_disk_refuses_is_told_of_once_and_tried_again(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    (path / "environment.json").unlink()
    with RunWriter(path) as run:
        (path / "recipe.toml").unlink()
        with files_of_at_most(0):
            run.look_for_files()
            run.look_for_files()
        assert not (path / "recipe.toml").exists()
    first, second = [event.message for event in RunReader(path).events() if event.name == "file deleted"]
    assert first.endswith(
        "recipe.toml was deleted or replaced while the run went on, and cannot be written again: File too large."
    )
    assert second.endswith("recipe.toml was deleted or replaced while the run went on: it is written again, as it was.")
    assert not (path / "environment.json").exists()


def test_other_ranks_write_files_of_their_own(tmp_path: Path) -> None:
    MetricsWriter(tmp_path, rank=1).close()
    assert (tmp_path / "metrics.rank1.jsonl").exists()


DAMAGED: list[bytes] = [
    b"",
    b"{",
    b"[1]",
    b"null",
    b"3",
    b"\xff\xfe\x00",
    b'{"a": NaN',
    b"NaN",
    b'{"a": ' + b"[" * 5000 + b"NaN",
    b'{"a": 1}{"b": 2}',
    b"[" * 5000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b"x" * (2 << 20),
]


@pytest.mark.parametrize("line", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_is_counted_and_passed_over(tmp_path: Path, line: bytes) -> None:
    path = record_run(tmp_path / "mine", [{"step": 1}])
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(line + b'\n{"step": 2}\n')
    reader = RunReader(path)
    polls = [reader.poll()]
    while polls[-1].more:
        polls.append(reader.poll())
    assert [row["step"] for news in polls for row in news.rows] == [1, 2]
    assert reader.damaged == 1


def test_numbers_that_json_does_not_have_are_read_from_rows_that_other_programs_wrote(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    (path / "metrics.jsonl").write_text(
        '{"step": 1, "loss.total": NaN}\n{"step": 2, "loss.total": -Infinity}\n{"step": 3, "loss.total": "NaN"}\n'
    )
    reader = RunReader(path)
    first, second, third = (row["loss.total"] for row in reader.poll().rows)
    assert math.isnan(first)
    assert second == -math.inf
    assert math.isnan(third)
    assert reader.damaged == 0


def test_figures_of_any_recorded_type_become_floats_or_nothing(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    huge = "9" * 400
    (path / "metrics.jsonl").write_text(
        f'{{"a": 1, "b": "-inf", "c": "text", "d": true, "e": null, "f": [1], "g": {huge[:30]}}}\n'
    )
    (row,) = RunReader(path).rows()
    assert row == {"a": 1.0, "b": -math.inf, "g": pytest.approx(1e30)}


def test_a_line_of_a_hundred_megabytes_costs_bounded_memory(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [{"step": 1}])
    with (path / "metrics.jsonl").open("ab") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'\n{"step": 2}\n')
    tracemalloc.start()
    assert [row["step"] for row in RunReader(path).rows()] == [1, 2]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 << 20


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"x" * (5 << 20), b'{"outcome": 3}'],
    ids=["empty", "cut", "no text", "too long", "wrong"],
)
def test_damaged_side_files_are_told_or_empty_and_never_break_the_reader(tmp_path: Path, content: bytes) -> None:
    path = record_run(tmp_path / "mine")
    for name in ("recipe.toml", "environment.json", "verdict.json"):
        (path / name).write_bytes(content)
    reader = RunReader(path)
    assert reader.recipe() == {}
    assert "data_fingerprint" not in reader.environment()
    with pytest.raises(RunDirectoryError, match=r"verdict\.json is damaged"):
        reader.verdict()


def test_events_with_fields_of_wrong_types_still_read(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    odd: list[dict[str, Any]] = [{}, {"name": 3, "severity": ["x"], "sequence": "nan", "time": None, "evidence": 4}]
    (path / "events.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in odd))
    assert [(event.name, event.severity, event.sequence) for event in RunReader(path).events()] == [("", "info", 0)] * 2


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        RunReader(tmp_path)


def test_rows_can_be_picked_by_text_without_reading_the_others(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [{"step": 1}, validation(2, 1.0, 0.4)])
    assert [row["step"] for row in RunReader(path).rows(containing="val.retrieval.mrr")] == [2]


def test_the_environment_names_versions_and_what_was_typed() -> None:
    environment = describe_environment(["jepa", "run", "x.toml"], data_fingerprint="abc")
    assert environment["command_line"] == ["jepa", "run", "x.toml"]
    assert environment["data_fingerprint"] == "abc"
    assert environment["packages"]["orjson"] == orjson.__version__


def test_what_is_written_follows_a_directory_that_is_renamed(tmp_path: Path) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    run.mkdir()
    with RunWriter(run) as writer:
        run.rename(moved)
        writer.row({"step": 1})
        writer.event("noted", "info", "here")
        writer.status.update(state="running")
        writer.write_recipe("name = 'mine'")
        assert writer.loss is not None
        assert writer.loss.path == moved
    reader = RunReader(moved)
    status = reader.status()
    assert status is not None
    assert (status.state, reader.recipe(), [row["step"] for row in reader.rows()]) == (
        "running", {"name": "mine"}, [1],
    )  # fmt: skip
    assert [event.name for event in reader.events()] == ["noted"]
    assert not run.exists()


def test_a_heartbeat_notices_that_the_directory_is_gone(tmp_path: Path) -> None:
    run, seconds = tmp_path / "run", itertools.count(step=2)
    run.mkdir()
    with RunWriter(run, clock=Clock(monotonic=lambda: float(next(seconds)))) as writer:
        writer.heartbeat(1, 0.1)
        assert writer.loss is None
        shutil.rmtree(run)
        writer.heartbeat(2, 0.2)
        assert writer.loss is not None
    assert not run.exists()


def test_nothing_is_written_beside_a_process_that_has_taken_the_directory(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer.row({"step": 1})
        (tmp_path / "run.lock").unlink()
        with (tmp_path / "run.lock").open("w") as anothers:
            fcntl.flock(anothers, fcntl.LOCK_EX)
            writer.row({"step": 2})
        writer.event("failed", "critical", "lost")
        writer.diagnosis({"step": 2})
    assert [row["step"] for row in RunReader(tmp_path).rows()] == [1]
    assert (tmp_path / "events.jsonl").read_bytes() == (tmp_path / "diagnostics.jsonl").read_bytes() == b""


@pytest.mark.parametrize(("lost", "missing"), [(0, 0), (1, 1), (3, 3)])
def test_events_that_are_lost_are_counted_when_the_run_goes_on(tmp_path: Path, lost: int, missing: int) -> None:
    with RunWriter(tmp_path) as writer:
        for number in range(3):
            writer.event("noted", "info", str(number))
        writer.status.update(state="interrupted")
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[lost:]))
    with RunWriter(tmp_path, resume_at=0) as writer:
        assert writer.lost_events == missing
    # Told once, they are no longer expected.
    with RunWriter(tmp_path, resume_at=0) as writer:
        assert writer.lost_events == 0


def test_who_goes_through_all_rows_holds_few_of_them(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    (path / "metrics.jsonl").write_bytes(b'{"step": 1, "a": 2.5, "b": 3.5, "c": 4.5}\n' * 60_000)
    tracemalloc.start()
    assert sum(1 for _ in RunReader(path).rows()) == 60_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20
