from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.registry import installed
from jepa_core.rollback.child import make_child
from jepa_core.rollback.planning import plan_rollback
from jepa_core.run_directory.lock import RunLock
from jepa_core.run_directory.status import State, Status, write_status
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.findings import Firing
from jepa_monitor.watch_command import watch
from tests.rollback.test_child import start
from tests.run_directory.runs import record_run

GOOD, BAD = {"step": 10, "epoch": 1.0, "vq.usage": 0.2}, {"step": 20, "epoch": 2.0, "vq.usage": 0.04}


def running(tmp_path: Path, rows: tuple[Mapping[str, Any], ...] = (GOOD,)) -> Path:
    return record_run(tmp_path / "mine", rows, state="running", host="elsewhere", total_steps=100)


def while_it_goes_on(path: Path, act: Callable[[RunWriter], None]) -> threading.Thread:
    """Let the run do something in a moment, as its own process would."""

    def later() -> None:
        time.sleep(0.3)
        with RunWriter(path, host="elsewhere") as run:
            act(run)

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("state", "exit_code", "expected"),
    [
        ("finished", 0, 0), ("finished", 4, 4), ("aborted", 3, 3), ("failed", 1, 1), ("interrupted", 143, 143),
        ("finished", None, 0), ("failed", None, 1), ("aborted", None, 3),
    ],
)  # fmt: skip
def test_a_run_that_has_ended_gives_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: State, exit_code: int | None, expected: int
) -> None:
    path = record_run(tmp_path / "mine", [GOOD], state=state, exit_code=exit_code)
    for until in ("finished", "success", "abort"):
        assert watch(str(path), until=until) == expected
    assert f"mine {state}: exit code {expected}" in capsys.readouterr().out


def test_it_waits_for_the_end_and_tells_what_happens_meanwhile_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path)
    firing = Firing(
        name="codebook-in-use", kind="must", severity="warning", message="codebook in use: does not hold", step=20
    )

    def act(run: RunWriter) -> None:
        run.row(BAD)
        run.firing(firing)
        run.event("checkpoint", "info", "Checkpoint at step 20.", step=20)
        time.sleep(0.3)
        run.status.update(state="finished", exit_code=4)

    thread = while_it_goes_on(path, act)
    assert watch(str(path)) == 4
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "watching mine: running, step 10"
    assert sum("must codebook-in-use" in line for line in lines) == 1
    assert not any("heckpoint" in line for line in lines)
    assert not any("started" in line for line in lines)
    assert lines[-1] == "mine finished: exit code 4"


def test_a_checkpoint_that_failed_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = running(tmp_path)

    def act(run: RunWriter) -> None:
        run.event("checkpoint failed", "warning", "The checkpoint of step 20 could not be written.", step=20)
        run.event("skipped", "warning", "A step was skipped.", step=1300)
        run.status.update(state="finished", exit_code=0)

    thread = while_it_goes_on(path, act)
    assert watch(str(path)) == 0
    thread.join()
    said = [line.partition("▲ ")[2] for line in capsys.readouterr().out.splitlines()[1:3]]
    assert said == [
        "checkpoint failed   The checkpoint of step 20 could not be written.",
        "skipped at step 1,300   A step was skipped.",
    ]


def test_how_far_the_run_is_is_said_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jepa_monitor.waiting.PROGRESS_SECONDS", 0.0)
    path = running(tmp_path)

    def act(run: RunWriter) -> None:
        run.row({**GOOD, "step": 1200, "epoch": 2.5, "val.retrieval.mrr": 0.4125})
        time.sleep(0.5)
        run.status.update(state="finished", exit_code=0)

    thread = while_it_goes_on(path, act)
    assert watch(str(path)) == 0
    thread.join()
    (progress,) = [line for line in capsys.readouterr().out.splitlines() if "step 1,200" in line]
    assert progress.split("  ", 1)[1].startswith("step 1,200")
    assert progress.endswith("val MRR 0.412")


def test_json_is_one_object_a_line_with_the_code_in_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path)

    def act(run: RunWriter) -> None:
        run.event("checkpoint", "info", "", step=20)
        run.row({**BAD, "vq.usage": float("nan")})
        run.status.update(state="aborted", exit_code=3)

    thread = while_it_goes_on(path, act)
    assert watch(str(path), json=True) == 3
    thread.join()
    told = objects(capsys)
    assert [entry["type"] for entry in told] == ["event", "firing", "end"]
    assert told[0]["name"] == "checkpoint"
    assert told[1]["evidence"]["rows"][-1]["vq.usage"] == "nan"
    assert (told[2]["exit_code"], told[2]["run"]) == (3, str(path))


def test_until_success_leaves_as_soon_as_a_must_has_failed_for_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path)
    thread = while_it_goes_on(path, lambda run: run.row(BAD))
    assert watch(str(path), until="success") == 4
    thread.join()
    assert "must codebook-in-use can no longer hold: vq.usage > 0.10" in capsys.readouterr().out


def test_until_abort_leaves_as_soon_as_an_abort_rule_fires_but_not_for_a_must(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path, (GOOD, BAD))
    thread = while_it_goes_on(path, lambda run: run.row({**BAD, "step": 30}))
    assert watch(str(path), until="abort") == 3
    thread.join()
    assert "abort rule collapse fired" in capsys.readouterr().out


def test_the_time_may_be_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(str(running(tmp_path)), timeout=0.25) == 1
    assert "the time is up, and mine is running at step 10" in capsys.readouterr().out


def test_a_run_that_died_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = record_run(tmp_path / "mine", [GOOD], state="running", pid=child.pid)
    assert watch(str(path)) == 1
    assert f"mine died without a word, 0 s after its last sign of life (process {child.pid} is gone)" in (
        capsys.readouterr().out
    )


def test_a_run_without_a_sign_of_life_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = running(tmp_path)
    status = orjson.loads((path / "status.json").read_bytes())
    (path / "status.json").write_bytes(orjson.dumps({**status, "heartbeat": time.time() - 3600}))
    assert watch(str(path)) == 1
    assert "mine has given no sign of life for 3,600 s" in capsys.readouterr().out


def test_a_run_whose_directory_vanishes_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = running(tmp_path)
    timer = threading.Timer(0.3, lambda: path.rename(tmp_path / "moved"))
    timer.start()
    assert watch(str(path)) == 1
    timer.join()
    assert "mine has no readable status.json" in capsys.readouterr().out


def test_a_run_that_was_rolled_back_is_followed_into_its_child(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path)

    def act(run: RunWriter) -> None:
        record_run(tmp_path / "child", [GOOD], state="finished", exit_code=0)
        run.status.update(state="rolled_back", child="child")

    thread = while_it_goes_on(path, act)
    assert watch(str(path), json=True) == 0
    thread.join()
    *_, event, end = objects(capsys)
    assert (event["name"], end["run"]) == ("started", str(tmp_path / "child"))


def child_of_a_rollback(tmp_path: Path, **status: Any) -> Path:
    """A run that was rolled back, and what a rollback makes of its child before that is trained."""
    parent = record_run(tmp_path / "mine", [GOOD], state="rolled_back", child="child")
    child = record_run(tmp_path / "child", [GOOD])
    write_status(child, Status(state="interrupted", recipe="mine", step=10, parent="mine", **status))
    return parent


def test_a_child_that_is_about_to_start_is_waited_for_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = child_of_a_rollback(tmp_path, pid=os.getpid(), host=socket.gethostname(), started=time.time() - 3600)

    def act(run: RunWriter) -> None:
        time.sleep(0.3)
        run.status.update(state="finished", exit_code=4)

    thread = while_it_goes_on(tmp_path / "child", act)
    assert watch(str(parent)) == 4
    thread.join()
    told = capsys.readouterr().out.splitlines()
    assert "watching child: about to start, step 10" in told
    assert told[-1] == "child finished: exit code 4"


def test_a_child_of_another_host_is_given_as_long_as_a_run_may_be_silent(tmp_path: Path) -> None:
    parent = child_of_a_rollback(tmp_path, host="elsewhere", pid=1, started=time.time())
    thread = while_it_goes_on(tmp_path / "child", lambda run: run.status.update(state="finished", exit_code=0))
    assert watch(str(parent)) == 0
    thread.join()


@pytest.mark.parametrize("is_here", [True, False])
def test_a_child_that_nobody_will_start_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_here: bool
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname() if is_here else "elsewhere"
    parent = child_of_a_rollback(tmp_path, pid=dead.pid, host=host, started=time.time() - 3600 * (not is_here))
    assert watch(str(parent)) == 1
    assert f"no process trains it: jepa run --resume {tmp_path / 'child'}" in capsys.readouterr().out


def test_what_a_rollback_makes_is_known_as_about_to_start(tiny_recipe_file: Path) -> None:
    parent = start(tiny_recipe_file, "checkpoint.every_steps=3").path
    child = make_child(plan_rollback(parent, installed(), to=3, set={"train": {"clip_norm": 1.0}})).path
    thread = while_it_goes_on(child, lambda run: run.status.update(state="finished", exit_code=0))
    assert watch(str(parent)) == 0
    thread.join()


def test_an_aborted_run_that_its_own_process_takes_back_is_followed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = running(tmp_path)

    def act(run: RunWriter) -> None:
        run.status.update(state="aborted", exit_code=3)
        time.sleep(1.0)
        record_run(tmp_path / "child", [GOOD], state="finished", exit_code=0)
        run.status.update(state="rolled_back", child="child")

    thread = while_it_goes_on(path, act)
    assert watch(str(path), json=True) == 0
    thread.join()
    assert objects(capsys)[-1]["run"] == str(tmp_path / "child")


def test_an_aborted_run_that_its_process_does_not_leave_gives_its_code_when_the_time_is_up(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [GOOD], state="aborted", exit_code=3)
    with RunLock(path):
        assert watch(str(path), timeout=0.25) == 3


@pytest.mark.parametrize("child", ["missing", "../mine"])
def test_a_child_that_is_not_there_is_an_error(tmp_path: Path, child: str) -> None:
    path = record_run(tmp_path / "mine", [GOOD], state="rolled_back", child=child)
    with pytest.raises(RunDirectoryError, match="which is not there"):
        watch(str(path))


def test_a_rolled_back_run_without_a_child_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record_run(tmp_path / "mine", [GOOD], state="rolled_back")
    assert watch(str(path)) == 1
    assert "names no run that continues it" in capsys.readouterr().out


def test_from_the_command_line_an_interrupt_gives_130_and_the_help_an_example(tmp_path: Path) -> None:
    jepa = [sys.executable, "-m", "jepa_core.cli", "watch"]
    waiting = subprocess.Popen([*jepa, str(running(tmp_path))], stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    assert waiting.stdout.readline().startswith("watching mine")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    shown = subprocess.run([*jepa, "--help"], capture_output=True, text=True, check=True)
    assert "For example: jepa watch" in shown.stdout
