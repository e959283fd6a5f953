from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory import reading
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.status import STALE_SECONDS, Status
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_monitor.feed.event_bounds import MAX_ENTRIES, MAX_TEXT, bounded
from jepa_monitor.feed.live import LiveFeed, SignOfLife
from jepa_monitor.feed.newest_lines import CONSOLE_LINES
from tests.run_directory.runs import record_run, validation


def test_what_stands_beside_the_rows_is_read_again_only_when_it_changes(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [validation(1, 1.0, 0.4)])
    feed = LiveFeed(path)
    first, second = feed.poll(), feed.poll()
    assert len(first.rows) == 1
    assert second.rows == ()
    assert second.surroundings is first.surroundings
    with RunWriter(path) as run:
        run.status.update(state="running", step=7)
        run.console_log.write("epoch 1\n")
        run.diagnosis({"step": 5, "spectrum": [1.0, math.nan]})
        run.write_verdict(reach_verdict(Judge(Watch()), run=path))
        third = feed.poll()
    now = third.surroundings
    assert now.status is not None
    assert (now.status.step, now.console) == (7, ("epoch 1",))
    assert now.diagnosis["spectrum"] == [1.0, pytest.approx(math.nan, nan_ok=True)]
    assert now.verdict is not None
    assert now.recipe is first.surroundings.recipe


def test_the_console_and_the_diagnoses_are_read_from_their_end(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    (path / "console.log").write_bytes(b"\xff old\n" * 300_000 + b"newest, not ended")
    lines = b"".join(b'{"step": %d, "counts": [1, 2]}\n' % step for step in range(100_000))
    (path / "diagnostics.jsonl").write_bytes(lines + b'{"step": 99\n[3]\n{"step": 1000')
    now = LiveFeed(path).poll().surroundings
    assert len(now.console) == CONSOLE_LINES
    assert now.console[-1] == "newest, not ended"
    assert now.diagnosis == {"step": 99_999, "counts": [1, 2]}


def test_a_directory_that_is_gone_is_said_and_its_return_is_seen(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [{"step": 1}])
    feed = LiveFeed(path)
    feed.poll()
    path.rename(tmp_path / "moved")
    gone = feed.poll()
    assert (gone.state, gone.surroundings.problems) == ("unknown", (f"{path} is gone",))
    assert gone.surroundings.recipe["name"] == "mine"
    (tmp_path / "moved").rename(path)
    back = feed.poll()
    assert (back.state, back.surroundings.problems, len(back.rows)) == ("finished", (), 1)


def test_a_run_that_is_starting_has_no_recipe_to_miss(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", state="starting")
    (path / "recipe.toml").unlink()
    assert LiveFeed(path).poll().surroundings.problems == ()
    (path / "recipe.toml").write_bytes(b"\xff{")
    assert "recipe.toml is missing or damaged" in LiveFeed(path).poll().surroundings.problems[0]


def test_damaged_files_are_said(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    for name in ("recipe.toml", "environment.json", "verdict.json", "status.json"):
        (path / name).write_bytes(b"\xff{")
    verdict, recipe, status = LiveFeed(path).poll().surroundings.problems
    assert "verdict.json is damaged" in verdict
    assert "recipe.toml is missing or damaged" in recipe
    assert "status.json is missing or damaged" in status


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        LiveFeed(tmp_path)


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.wall = 1_000.0
        self.ticks = 50.0
        self.clock = Clock(now=lambda: self.wall, monotonic=lambda: self.ticks)


@pytest.mark.parametrize("jump", [-3600.0, 315_360_000.0], ids=["back an hour", "forward ten years"])
def test_whatever_the_clock_is_set_to_a_run_that_beats_is_alive_and_one_that_stops_is_stale(jump: float) -> None:
    time = SetClock()
    life = SignOfLife(time.clock)
    status = Status(state="running", host="elsewhere", heartbeat=999.0)
    assert (life.age(status), life.state(status)) == (1.0, "running")
    time.wall += jump
    assert (life.age(status), life.state(status)) == (1.0, "running")
    time.ticks += 1.0
    status = attrs.evolve(status, heartbeat=1_000.0)
    assert (life.age(status), life.state(status)) == (0.0, "running")
    time.ticks += STALE_SECONDS + 1
    assert (life.age(status), life.state(status)) == (STALE_SECONDS + 1, "stale")


def test_a_heartbeat_from_the_future_is_no_negative_age() -> None:
    time = SetClock()
    life = SignOfLife(time.clock)
    status = Status(state="running", host="elsewhere", heartbeat=5_000.0)
    assert life.age(status) == 0.0
    time.ticks += STALE_SECONDS + 1
    assert life.state(status) == "stale"
    assert (life.age(None), life.state(None)) == (None, "unknown")


def size_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(size_of(key) + size_of(item) for key, item in value.items())
    if isinstance(value, list):
        return 1 + sum(map(size_of, value))
    return len(value) if isinstance(value, str) else 1


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value, "x"]
    return value


@pytest.mark.parametrize(
    "evidence",
    [
        {"text": "x" * (1 << 20)},
        {"many": list(range(100_000))},
        {str(number): "y" * 100 for number in range(10_000)},
        {"deep": nested(900)},
        {"x" * 100_000: 1},
    ],
    ids=["long", "many", "wide", "deep", "long name"],
)
def test_an_event_is_cut_to_a_size_that_can_be_kept(evidence: dict[str, Any]) -> None:
    event = bounded(Event(sequence=1, time=0.0, name="n" * 9000, message="m" * 9000, evidence=evidence))
    assert len(event.name) == len(event.message) == MAX_TEXT + 1
    assert size_of(event.evidence) < 8 * MAX_TEXT + 2 * MAX_ENTRIES
    orjson.dumps(event.evidence)


def test_the_evidence_of_an_ordinary_event_stays_as_it_is() -> None:
    evidence = {"when": "a < 1", "rows": [{"step": 1.0, "a": "nan"}], "set": {"losses": {"sigreg": {"weight": 0.1}}}}
    event = Event(sequence=1, time=0.0, name="rollback B", evidence=evidence)
    assert bounded(event) == event


def test_many_events_and_a_line_of_a_hundred_megabytes_are_read_in_bounded_memory(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with (path / "events.jsonl").open("ab") as file:
        for _ in range(30):
            file.write(b'{"sequence": 1, "time": 1.0, "name": "checkpoint"}\n' * 1000)
    with (path / "metrics.jsonl").open("ab") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'\n{"step": 2}\n' + b"[" * 5000 + b'\n\xff\xfe\n{"step": 3}\n')
    feed, steps, num_events, more = LiveFeed(path), [], 0, True
    tracemalloc.start()
    while more:
        news = feed.poll()
        more = news.more
        steps += [row["step"] for row in news.rows]
        num_events += len(news.events)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert steps == [2, 3]
    assert num_events == 30_001
    assert news.damaged == 3
    assert peak < 60 << 20


def test_of_a_million_events_the_newest_are_read_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_EVENTS", 1 << 16)
    path = record_run(tmp_path / "mine")
    event = b'{"sequence": %6d, "time": 1.0, "name": "checkpoint"}\n'
    with (path / "events.jsonl").open("ab") as file:
        file.writelines(event % number for number in range(20_000))
    news = LiveFeed(path).poll()
    assert 1000 < len(news.events) < 1500
    assert [event.sequence for event in news.events[-2:]] == [19_998, 19_999]
    assert news.damaged == 0
    assert news.surroundings.problems == (f"{path}/events.jsonl is long: its first 1.0 MiB are not read",)
    assert len(list(RunReader(path).events())) == len(news.events)


def test_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [validation(1, 1.0, 0.4)])
    before = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    LiveFeed(path).poll()
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == before
