"""Signals: read before a micro-batch, answered with a checkpoint, and never a finished step lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.contracts import Observations
from jepa_core.engine.checkpoint import same_tree
from jepa_core.engine.course import Position
from jepa_core.engine.ending import Ending
from jepa_core.engine.interruption import Interruption, StoppedBeforeTraining
from jepa_core.engine.trainer import Trainer
from tests.engine.training import (
    RARE,
    KeptRecord,
    RecipeMaker,
    a_trainer,
    lasting,
    snapshot,
    take_steps,
    train,
)

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
QUIET = (*RARE, "diagnostics.log_every_steps=1000")
"""Nothing but the first row is due before the last step."""


@pytest.mark.parametrize("number", STOPS)
def test_before_training_a_stop_signal_ends_the_program_with_the_shells_code(number: signal.Signals) -> None:
    with pytest.raises(StoppedBeforeTraining) as stopped, Interruption():
        signal.raise_signal(number)
    assert stopped.value.code == 128 + number


@pytest.mark.parametrize("number", STOPS)
def test_in_training_a_stop_signal_is_a_flag(number: signal.Signals) -> None:
    with Interruption() as interruption:
        interruption.wait_for_steps()
        signal.raise_signal(number)
        assert interruption.stop_signal == number


def test_a_closed_terminal_is_ignored_where_it_was_before() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert interruption.stop_signal is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_request_to_save_is_taken_once_and_stops_nothing() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGUSR1)
        assert interruption.take_save_request()
        assert not interruption.take_save_request()
        assert interruption.stop_signal is None


def test_handlers_are_put_back() -> None:
    numbers = [*STOPS, signal.SIGUSR1]
    before = [signal.getsignal(number) for number in numbers]
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in numbers] == before


def test_in_a_process_that_is_not_its_own_a_second_signal_ends_the_training() -> None:
    with Interruption(owns_process=False) as interruption:
        interruption.wait_for_steps()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_ends_the_process_at_once() -> None:
    script = (
        "import signal, jepa_core.engine.interruption as i\n"
        "with i.Interruption() as interruption:\n"
        "    interruption.wait_for_steps()\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('first', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('second')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "first\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_answered_with_a_checkpoint_though_nothing_is_due(
    tiny_recipe: RecipeMaker, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*QUIET), tmp_path, record=record)
    record.after_heartbeat = lambda step: signal.raise_signal(number) if step == 2 else None
    with Interruption() as interruption:
        interruption.wait_for_steps()
        ending = trainer.train(interruption)
    assert (ending.state, ending.step, ending.exit_code) == ("interrupted", 2, code)
    assert ending.reason == f"stopped by {number.name}"
    assert [checkpoint.step for checkpoint in trainer.checkpoints.all()] == [2]
    assert [row["step"] for row in record.rows] == [1]


def test_a_request_to_save_is_answered_with_a_checkpoint_and_training_goes_on(
    tiny_recipe: RecipeMaker, tmp_path: Path
) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*QUIET), tmp_path, record=record)
    record.after_heartbeat = lambda step: signal.raise_signal(signal.SIGUSR1) if step == 2 else None
    with Interruption() as interruption:
        interruption.wait_for_steps()
        assert trainer.train(interruption).kind == "finished"
    assert [checkpoint.step for checkpoint in trainer.checkpoints.all()] == [3, 6]


def test_a_stop_during_a_save_loses_no_step(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    record = KeptRecord()
    trainer = a_trainer(tiny_recipe(*QUIET, "checkpoint.every_steps=2"), tmp_path, record=record)
    record.after_heartbeat = lambda step: signal.raise_signal(signal.SIGTERM) if step == 2 else None
    with Interruption() as interruption:
        interruption.wait_for_steps()
        ending = trainer.train(interruption)
    assert ending.step == trainer.checkpoints.all()[-1].step


def stopped_in(trainer: Trainer, step: int, micro: int) -> Ending:
    """Train until a signal comes while a micro-batch is computed."""
    drawn = trainer.step.batches.draw

    def draw(position: Position, following: Position | None = None) -> Observations:
        if position == trainer.step.course.at(step, micro):
            # Once: a bad step's batch is drawn again to be kept.
            trainer.step.batches.draw = drawn  # type: ignore[method-assign]
            signal.raise_signal(signal.SIGINT)
        return drawn(position, following)

    trainer.step.batches.draw = draw  # type: ignore[method-assign]  # for the moment of the signal
    with Interruption() as interruption:
        interruption.wait_for_steps()
        return trainer.train(interruption)


def test_a_stop_in_a_bad_step_says_that_it_was_bad(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(*QUIET), tmp_path), 1)
    trainer.step.parameters["encoder.norm.weight"].data.fill_(float("nan"))
    assert stopped_in(trainer, 1, 0).kind == "non-finite"
    assert trainer.checkpoints.all() == []
    assert snapshot(trainer)["progress"]["step"] == 1


def test_a_stop_in_the_step_after_a_bad_one_says_so_and_saves_nothing(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = take_steps(a_trainer(tiny_recipe(*QUIET, *ACCUMULATED), tmp_path), 1)
    trainer.step.parameters["encoder.norm.weight"].data.fill_(float("nan"))
    ending = stopped_in(trainer, 2, 1)
    assert (ending.kind, ending.step) == ("non-finite", 1)
    assert trainer.checkpoints.all() == []


ACCUMULATED = ("train.batch_size=4", "train.accumulate=4", "encoder.dropout=0.1", "losses.invariance.weight=0.1")
"""Six steps of four micro-batches."""


@pytest.mark.parametrize(("step", "micro", "left"), [(0, 1, 0), (3, 0, 3), (3, 2, 3), (3, 3, 4)])
def test_a_step_that_is_stopped_between_micro_batches_leaves_nothing_and_is_taken_again_on_resume(
    tiny_recipe: RecipeMaker, tmp_path: Path, step: int, micro: int, left: int
) -> None:
    recipe = tiny_recipe(*ACCUMULATED, "train.deterministic=true", "diagnostics.log_every_steps=4")
    straight = a_trainer(recipe, tmp_path / "straight", record=(whole := KeptRecord()))
    train(straight)
    stopped = a_trainer(recipe, tmp_path / "stopped", record=(record := KeptRecord()))
    ending = stopped_in(stopped, step, micro)
    assert (ending.kind, ending.step) == ("interrupted", left)
    (checkpoint,) = stopped.checkpoints.all()
    assert checkpoint.step == left
    assert all(parameter.grad is None for parameter in stopped.step.parameters.values()) == (left == step)

    resumed = a_trainer(recipe, tmp_path / "stopped", record=record)
    resumed.initialise()
    resumed.resume(checkpoint)
    assert train(resumed).step == 6
    assert same_tree(snapshot(resumed), snapshot(straight))
    assert [lasting(row) for row in record.rows] == [lasting(row) for row in whole.rows]


def test_a_stop_after_a_checkpoint_does_not_write_it_again(tiny_recipe: RecipeMaker, tmp_path: Path) -> None:
    trainer = a_trainer(
        tiny_recipe(*QUIET, *ACCUMULATED, "checkpoint.every_steps=2"), tmp_path, record=(record := KeptRecord())
    )
    assert stopped_in(trainer, 2, 1).step == 2
    assert record.named("checkpoint") == ["Checkpoint at step 2."]


BUSY = """
import hashlib
from jepa_core.engine.course import Position
from jepa_core.engine.interruption import Interruption

with Interruption() as interruption:
    interruption.wait_for_steps()
    with interruption.acknowledged(lambda: print("heard", flush=True)):
        print("ready", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)  # minutes in one call, which no handler of Python's ends
"""


def test_stops_are_heard_while_the_main_thread_is_in_a_long_call() -> None:
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "heard\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - started < 2
    finally:
        process.kill()
        process.communicate()


def test_a_stop_is_acknowledged_once_and_by_whoever_comes_to_listen() -> None:
    told: list[str] = []
    heard = threading.Event()
    with Interruption(owns_process=False) as interruption:
        interruption.wait_for_steps()
        with interruption.acknowledged(heard.set):
            signal.raise_signal(signal.SIGUSR1)
            assert not heard.wait(0.1)
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.1)
        with interruption.acknowledged(lambda: told.append("first")):
            pass
        with interruption.acknowledged(lambda: told.append("second")):
            pass
    assert told == ["first"]


def test_on_another_thread_than_the_main_one_nothing_is_heard() -> None:
    def enter() -> None:
        with Interruption() as interruption, interruption.acknowledged(lambda: None):
            entered.append(signal.getsignal(signal.SIGINT))

    entered: list[object] = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [before]


def test_the_file_for_wakeups_is_put_back() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        with Interruption():
            pass
        assert signal.set_wakeup_fd(before) == write
    finally:
        os.close(read)
        os.close(write)


LONG = ("--set", "train.epochs=20", "--set", "diagnostics.every_steps=1000", "--set", "checkpoint.every_epochs=1000",
        "--set", "diagnostics.validate_every_epochs=1000")  # fmt: skip
"""120 steps: a second or two."""


@contextmanager
def started(recipe: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """`jepa run` in a process of its own, with runs beside the recipe."""
    command = [sys.executable, "-m", "jepa_core.cli", "run", recipe.name, *LONG, *more]
    process = subprocess.Popen(
        command,
        cwd=recipe.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def only_run(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


def num_rows(folder: Path) -> int:
    return sum(path.read_text().count("\n") for path in folder.glob("runs/*/metrics.jsonl"))


def test_save_stop_and_resume_of_a_whole_program(
    tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_recipe_file.parent
    with started(tiny_recipe_file) as process:
        wait_until(lambda: num_rows(folder) >= 3, process)
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: any(folder.glob("runs/*/checkpoints/step-*")), process)
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=60)[0]
    assert process.returncode == 130, out
    run = only_run(folder)
    status = json.loads((run / "status.json").read_text())
    steps = sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").iterdir())
    assert (status["state"], status["exit_code"], status["step"]) == ("interrupted", 130, steps[-1])
    assert len(steps) == 2
    assert not (run / "verdict.json").exists()
    resume = re.search(r"jepa (run --resume \S+)", out)
    assert resume, out

    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match="0"):
        main(resume[1].split())
    assert f"goes on after step {steps[-1]} of 120" in capsys.readouterr().out
    recorded = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert recorded == list(range(1, 121))
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def test_sigterm_of_a_whole_program_is_answered_though_no_row_is_due(tiny_recipe_file: Path) -> None:
    folder = tiny_recipe_file.parent
    # Nothing but steps is under way, which alone are given up.
    rare = ("log_every_steps=1000", "every_steps=100000", "validate_every_epochs=1000")
    sets = [word for each in rare for word in ("--set", f"diagnostics.{each}")]
    with started(tiny_recipe_file, *sets, "--set", "train.epochs=1000") as process:
        wait_until(lambda: any('"running"' in path.read_text() for path in folder.glob("runs/*/status.json")), process)
        process.send_signal(signal.SIGTERM)
        out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert "Stopping: the step under way is given up and a checkpoint written" in out
    run = only_run(folder)
    status = json.loads((run / "status.json").read_text())
    assert [path.name for path in (run / "checkpoints").iterdir()] == [f"step-{status['step']}"]
    rows = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows == [1][: status["step"]]


IMPORTING = """
import importlib.abc, os, signal, sys

class Sender(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in {"cyclopts", "torch", "jepa_core.engine.session"}:
            print(name, flush=True)
            os.kill(os.getpid(), signal.SIGUSR1)

sys.meta_path.insert(0, Sender())
from jepa_core.cli import main
main()
"""


def test_a_request_to_save_ends_no_run_that_is_only_being_prepared(tiny_recipe_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORTING, "run", str(tiny_recipe_file), "--no-audit", "--runs-dir", "runs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"cyclopts", "torch", "jepa_core.engine.session"} <= set(done.stdout.split())
