from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.reading import RunReader
from jepa_core.run_directory.recorded_recipe import recorded_watch
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_monitor.feed.replay import ReplayFeed
from jepa_monitor.history.cache import FILE, FOLDER
from jepa_monitor.model import judging, run_model
from jepa_monitor.model.run_model import RunModel, live_model
from jepa_monitor.model.run_view import RunView
from tests.run_directory.runs import record_run, validation

USE = [{"step": step, "epoch": step / 10, "vq.usage": value} for step, value in [(10, 0.2), (20, 0.04), (30, 0.03)]]


def view_of(model: RunModel) -> RunView:
    """The newest view."""
    views = list(iter(model.refresh, None))
    return views[-1]


def test_a_view_has_rows_rules_firings_events_and_everything_beside_them(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [*USE, validation(40, 4.0, 0.41)], total_steps=40)
    with RunWriter(path) as run:
        run.console_log.write("epoch 1\n")
        run.diagnosis({"step": 5, "counts": [1, 2]})
        run.status.update(state="finished", exit_code=3)
    view = view_of(live_model(path))
    assert (view.name, view.state, view.step, view.epoch) == ("mine", "finished", 40, 4.0)
    assert view.history.num_rows == 4
    assert view.finals["val.retrieval.mrr"] == 0.41
    assert {outlook.judgement.id: outlook.prospect for outlook in view.outlooks} == {
        "codebook-in-use": "failed",
        "collapse": "fired",
    }
    assert [(firing.kind, firing.name) for firing in view.firings] == [
        ("must", "codebook-in-use"),
        ("abort", "collapse"),
    ]
    assert [event.name for event in view.events] == ["started"]
    assert (view.console, view.diagnosis["counts"]) == (("epoch 1",), [1, 2])
    assert view.metrics["vq.usage"].unit == "%"
    assert (view.problems, view.damaged, view.judged_rows, view.replay_position) == ((), 0, None, "")


def test_nothing_is_given_while_nothing_changes_and_a_new_row_is_seen_at_once(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", USE[:1])
    model = live_model(path)
    view_of(model)
    assert model.refresh() is None
    with RunWriter(path) as run:
        assert model.refresh() is not None
        run.row(USE[1])
        view = model.refresh()
    assert view is not None
    assert view.finals["vq.usage"] == 0.04


def test_a_view_is_not_changed_by_later_ones(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", USE[:1])
    model = live_model(path)
    first = view_of(model)
    with RunWriter(path) as run:
        for row in USE[1:]:
            run.row(row)
        view_of(model)
    assert (first.history.num_rows, first.finals["vq.usage"], first.firings) == (1, 0.2, ())


def test_a_recipe_that_appears_late_or_changes_judges_all_rows_again(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", USE)
    recipe = (path / "recipe.toml").read_text()
    (path / "recipe.toml").unlink()
    model = live_model(path)
    before = view_of(model)
    assert before.outlooks == ()
    assert "recipe.toml is missing" in before.problems[0]
    (path / "recipe.toml").write_text(recipe)
    now = view_of(model)
    assert [firing.name for firing in now.firings] == ["codebook-in-use", "collapse"]
    (path / "recipe.toml").write_text(recipe.replace("0.05", "0.035"))
    assert [firing.name for firing in view_of(model).firings] == ["codebook-in-use"]


def test_a_resumed_run_forgets_rows_firings_and_the_verdict_of_before(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", USE)
    with RunWriter(path) as run:
        run.write_verdict(reach_verdict(Judge(recorded_watch(RunReader(path).recipe()).watch), run=path))
        run.status.update(state="aborted", exit_code=3)
    model = live_model(path)
    assert view_of(model).verdict is not None
    with RunWriter(path, resume_at=10) as run:
        run.status.update(state="running")
        view = view_of(model)
    assert (view.history.num_rows, view.firings, view.verdict) == (1, (), None)


def test_a_silent_run_becomes_stale_and_says_for_how_long(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", state="running", host="elsewhere")
    ticks = [50.0]
    model = live_model(path, Clock(now=lambda: 0.0, monotonic=lambda: ticks[0]))
    assert view_of(model).state == "running"
    ticks[0] += 61
    view = view_of(model)
    assert (view.state, view.heartbeat_age) == ("stale", 61)
    ticks[0] += 1
    assert view_of(model).heartbeat_age == 62


def test_a_run_whose_process_is_gone_has_crashed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = record_run(tmp_path / "mine", USE, state="running", pid=child.pid)
    assert view_of(live_model(path)).state == "crashed"


def test_while_the_rules_are_behind_it_says_so_and_the_trainers_word_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"step": step, "epoch": step / 10, "vq.usage": 0.2 if step < 60 else 0.03} for step in range(1, 101)]
    path = record_run(tmp_path / "mine")
    judge = Judge(recorded_watch(RunReader(path).recipe()).watch)
    with RunWriter(path) as run:
        for row in rows:
            run.row(row)
            for firing in judge.observe(row):
                run.firing(firing)
        run.status.update(state="running", host="elsewhere")
    monkeypatch.setattr(run_model, "JUDGE_SECONDS", 0.0)
    monkeypatch.setattr(judging, "_ROWS_AT_A_TIME", 50)
    model = live_model(path)
    behind = model.refresh()
    assert behind is not None
    assert behind.judged_rows == 50
    assert [(f.kind, f.name, f.step) for f in behind.firings] == [
        ("must", "codebook-in-use", 60),
        ("abort", "collapse", 61),
    ]
    assert behind.firings[1].advice == "Refresh less often."
    done = view_of(model)
    assert done.judged_rows is None
    assert done.firings == behind.firings


def test_a_replay_goes_the_same_way_and_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_model, "MIN_CACHED_ROWS", 1)
    path = record_run(tmp_path / "mine", USE, exit_code=3)
    ticks = [0.0]
    feed = ReplayFeed(path, clock=Clock(monotonic=lambda: ticks[0]))
    model = RunModel(path, feed)
    assert view_of(model).history.num_rows == 0
    ticks[0] += 0.25
    half = view_of(model)
    assert (half.history.num_rows, half.state, half.firings[0].name) == (2, "running", "codebook-in-use")
    feed.to_end()
    end, live = view_of(model), view_of(live_model(path))
    assert (end.state, end.replay_position) == ("finished", "×1, at the end")
    assert end.firings == live.firings
    assert (path / FOLDER).exists()
    (path / FOLDER / FILE).unlink()
    feed.to_start()
    view = model.refresh()
    assert view is not None
    assert view.history.num_rows == 0
    model.close()
    assert not (path / FOLDER / FILE).exists()


def test_only_long_runs_leave_a_cache_which_is_written_again_when_it_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record_run(tmp_path / "mine", [{"step": step} for step in range(100)])
    short = live_model(path)
    view_of(short)
    short.close()
    assert not (path / FOLDER).exists()
    monkeypatch.setattr(run_model, "MIN_CACHED_ROWS", 100)
    model = live_model(path)
    view_of(model)
    first = (path / FOLDER / FILE).stat().st_size
    for rows in (20, 10):
        with (path / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 200}\n' * rows)
        view_of(model)
    assert (path / FOLDER / FILE).stat().st_size > first
    assert view_of(live_model(path)).history.num_rows == 130


def test_an_endless_backlog_is_read_a_part_at_a_time(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine")
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 1, "loss": 0.5, "lr": 0.1}\n' * 200_000)
    model = live_model(path)
    started = time.perf_counter()
    view = model.refresh()
    assert view is not None
    assert 0 < view.history.num_rows < 200_000
    assert time.perf_counter() - started < 5
    assert model.catch_up(0.0).history.num_rows == 200_000


def test_it_loads_neither_torch_nor_textual_nor_rich() -> None:
    code = (
        "import sys, jepa_monitor.model.run_model, jepa_monitor.model.runs_list, jepa_monitor.feed.replay\n"
        "sys.exit(bool({'torch', 'textual', 'rich', 'jepa_plugins'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the most memory used is told by Linux only")
def test_a_million_rows_of_eight_series_and_a_million_events_take_less_than_two_hundred_megabytes(
    tmp_path: Path,
) -> None:
    path = record_run(tmp_path / "big")
    line = b'{"step": %d, "epoch": %d.5, "time.step": 0.1' + b"".join(b', "m%d": %%d.25' % n for n in range(7)) + b"}\n"
    with (path / "metrics.jsonl").open("wb") as file:
        file.writelines(line % (step, step // 100, *([step % 89] * 7)) for step in range(1_000_000))
    with (path / "events.jsonl").open("wb") as file:
        file.writelines(b'{"sequence": %d, "time": 1.0, "name": "checkpoint"}\n' % n for n in range(1_000_000))
    code = (
        "import sys; from pathlib import Path; from jepa_monitor.model.run_model import live_model\n"
        "view = live_model(Path(sys.argv[1])).catch_up(0.0)\n"
        "assert view.history.num_rows == 1_000_000 and len(view.history.names) == 8 and len(view.events) == 1000\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    for _ in ("from the rows", "from the cache"):
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
        assert int(done.stdout) >> 10 < 170
