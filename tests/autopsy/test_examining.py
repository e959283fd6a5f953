"""What a run's files tell of its end, for every way to end, and for directories that are damaged or hostile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from jepa_core.autopsy.death import Kind
from jepa_core.autopsy.examining import Autopsy, autopsy_to_json, examine
from jepa_core.autopsy.remedies import next_commands
from jepa_core.engine.checkpoint import CheckpointFolder
from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.bad_batches import BadBatch, write_bad_batch
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.layout import CONSOLE, ENVIRONMENT, EVENTS, METRICS, RECIPE, STATUS
from jepa_core.run_directory.status import read_status, write_status
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from tests.run_directory.runs import record_run, validation
from tests.run_directory.test_plain_files import KINDS, Put, nobody_waits, run_with

__all__ = ["nobody_waits"]  # a fixture

ROWS = [validation(step, step / 10, 0.4, **{"loss.total": 5.0 - step, "time.step": 0.5}) for step in range(1, 9)]
CHAIN = (
    'Traceback (most recent call last):\n  File "x.py", line 41, in forward\n    return self.inner(x)\n'
    '  File "/site/torch/nn/modules/module.py", line 1, in _call_impl\n    return forward_call(*args)\n'
    '  File "y.py", line 7, in forward\n    raise ValueError("why")\n           ^^^^^\nValueError: why\n'
    "\nThe above exception was the direct cause of the following exception:\n\n"
    'Traceback (most recent call last):\n  File "session.py", line 1, in _led\nComponentError: loss\n'
)
FAULT = {
    "family": "loss", "name": "mine", "distribution": "jepa-mine", "version": "0.1", "place": "x.py:41",
    "remedy": "update jepa-mine.",
}  # fmt: skip


def gone() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def a_run(folder: Path, *, checkpoint: int | None = 6, **status: Any) -> Path:
    """A run of eight steps."""
    given = {"state": "running", "step": 8, "total_steps": 20, "pid": gone(), **status}
    run = record_run(folder / "mine-20260101-000000", ROWS, **given)
    (run / RECIPE).write_text((run / RECIPE).read_text() + "\n[optimizer]\nlr = 0.002\n")
    if checkpoint is not None:
        CheckpointFolder(run / "checkpoints", keep=2).save(checkpoint, {})
    return run


def tell(run: Path, name: str, message: str = "", **evidence: Any) -> None:
    """Add an event, as the process did."""
    before = read_status(run)
    with RunWriter(run) as writer:
        writer.event(name, "critical", message, step=7, evidence=evidence)
        if before is not None:
            writer.status.update(**{name: getattr(before, name) for name in ("state", "pid", "exit_code", "step")})


def ended(folder: Path, state: str, event: str, message: str, *, exit_code: int, **evidence: Any) -> Path:
    run = a_run(folder, state=state, exit_code=exit_code)
    tell(run, event, message, **evidence)
    return run


def finished(folder: Path) -> Path:
    run = a_run(folder)
    with RunWriter(run) as writer:
        writer.write_verdict(reach_verdict(Judge(Watch()), run=run))
        writer.status.update(state="finished", exit_code=0, step=8)
    return run


def noted(run: Path, **environment: Any) -> Path:
    file = run / ENVIRONMENT
    before = orjson.loads(file.read_bytes()) if file.exists() else {}
    file.write_bytes(orjson.dumps(before | environment))
    return run


def scripted(run: Path) -> Path:
    return noted(run, scripted=True)


def with_plugin(run: Path) -> Path:
    return noted(run, plugin_files=[{"path": "/my parts/mine.py", "sha256": "0"}])


def made_by_a_rollback(folder: Path) -> Path:
    run = a_run(folder)
    status = read_status(run)
    assert status is not None
    write_status(run, attrs.evolve(status, state="interrupted", parent="other", heartbeat=0.0))
    return run


def refused(folder: Path) -> Path:
    run = a_run(folder)
    tell(run, "write failed", "metrics.jsonl cannot be written: No space left on device")
    return run


WAYS: dict[str, tuple[Callable[[Path], Path], Kind, str, list[str]]] = {
    "finished": (
        finished, "finished", "came to its end", ["jepa verdict RUN"],
    ),
    "finished without a verdict": (
        lambda f: a_run(f, state="finished", exit_code=0), "finished", "came to its end", ["jepa run --resume RUN"],
    ),
    "the recipe's fault": (
        lambda f: ended(f, "failed", "failed", "RecipeError: no pairs", exit_code=2), "failed", "no pairs",
        ["jepa run RUN/recipe.toml --set KEY=VALUE"],
    ),
    "of a demo": (
        lambda f: scripted(a_run(f, state="interrupted", exit_code=130)), "interrupted", "Ctrl-C",
        ["jepa run quickstart"],
    ),
    "with a plugin": (
        lambda f: with_plugin(a_run(f, state="interrupted", exit_code=130)), "interrupted", "Ctrl-C",
        ["jepa run --resume RUN --plugin '/my parts/mine.py'"],
    ),
    "made by a rollback": (
        made_by_a_rollback, "interrupted", "no process has trained it yet", ["jepa run --resume RUN"],
    ),
    "on a disk that refused": (
        refused, "killed", "The disk had refused before that, the last time so: metrics.jsonl cannot be",
        ["jepa run --resume RUN"],
    ),
    "interrupted": (
        lambda f: a_run(f, state="interrupted", exit_code=143), "interrupted", "stopped by SIGTERM",
        ["jepa run --resume RUN"],
    ),
    "killed": (
        a_run, "killed", "is gone and left no word of its end, nor an exit code. That is left by kill -9, a system "
        "without memory, Ctrl-C twice, a component that ends the process, a full disk, or a machine that stops. No "
        "error of the disk is recorded.", ["jepa run --resume RUN"],
    ),
    "without a checkpoint": (
        lambda f: a_run(f, checkpoint=None), "killed", "is gone", ["jepa run RUN/recipe.toml"],
    ),
    "elsewhere": (
        lambda f: a_run(f, host="other-host"), "elsewhere", "on other-host, as process", ["jepa run --resume RUN"],
    ),
    "rule": (
        lambda f: ended(f, "aborted", "aborted", "collapse: vq.usage < 0.05", exit_code=3), "rule", "collapse", [],
    ),
    "non-finite": (
        lambda f: ended(f, "aborted", "non-finite", "Step 8 was not finite: first x.", exit_code=3, cause="first x",
                        step=8),
        "non-finite", "Step 8 was not finite", ["jepa rollback RUN --scenario non-finite --set optimizer.lr=0.001"],
    ),
    "state": (
        lambda f: ended(f, "aborted", "state not finite", "The state after step 8 is", exit_code=3, cause="first w"),
        "non-finite", "The state after step 8", ["jepa rollback RUN --to 6 --set optimizer.lr=0.001"],
    ),
    "component": (
        lambda f: ended(f, "failed", "failed", "loss 'mine' raised", exit_code=1, component=FAULT, traceback=CHAIN),
        "component", "loss 'mine'", ["jepa plugins check jepa-mine", "jepa run --resume RUN"],
    ),
    "memory": (
        lambda f: ended(f, "failed", "failed", "Out of memory", exit_code=1, traceback=CHAIN,
                        out_of_memory={"train.batch_size": 8, "train.accumulate": 4}),
        "memory", "Out of memory", ["jepa rollback RUN --to 6 --set train.batch_size=8 --set train.accumulate=4"],
    ),
    "failed": (
        lambda f: ended(f, "failed", "failed", "OSError: no", exit_code=1, traceback=CHAIN), "failed", "OSError: no",
        ["jepa run --resume RUN"],
    ),
    "failed without a word": (
        lambda f: a_run(f, state="failed", exit_code=1), "failed", "do not say why", ["jepa run --resume RUN"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "what", "commands"), WAYS.values(), ids=WAYS)
def test_every_way_to_end_is_told_with_what_to_type(
    tmp_path: Path, make: Callable[[Path], Path], kind: Kind, what: str, commands: list[str]
) -> None:
    run = make(tmp_path)
    found = examine(run)
    assert found.death.kind == kind
    assert what in found.death.what
    assert [command.replace(str(run), "RUN") for command in next_commands(found)] == commands
    if kind not in {"finished", "rule"} and found.checkpoint.step is not None:
        assert (found.checkpoint.step, found.checkpoint.lost_steps, found.checkpoint.lost_seconds) == (6, 2, 1.0)
    assert [row["step"] for row in found.rows] == [4, 5, 6, 7, 8]
    has_traceback = kind in {"component", "memory"} or what == "OSError: no"
    assert found.traceback[-1:] == (("ValueError: why",) if has_traceback else ())
    assert not any("torch" in line or "_led" in line for line in found.traceback)
    assert orjson.loads(orjson.dumps(autopsy_to_json(found, next_commands(found))))["run"] == run.name


def test_a_run_that_trains_is_alive_and_one_that_hangs_is_said_to_be_silent(tmp_path: Path) -> None:
    run = a_run(tmp_path, pid=os.getpid())
    with RunWriter(run) as writer:
        writer.status.update(state="running", step=8)
        assert examine(run).death.kind == "running"
        later = writer.status.status.heartbeat + 600
        silent = examine(run, Clock(now=lambda: later))
        assert (silent.death.kind, silent.death.is_alive) == ("silent", True)
        assert "nothing was heard of it since" in silent.death.what
    # Its process lives, and has let the directory go: the number is another's by now.
    assert examine(run).death.kind == "killed"


def test_rows_may_be_newer_than_the_status(tmp_path: Path) -> None:
    found = examine(a_run(tmp_path, step=5, epoch=0.5))
    assert (found.step, found.epoch, found.checkpoint.lost_steps) == (8, 0.8, 2)
    (tmp_path / "mine-20260101-000000" / METRICS).unlink()
    assert (again := examine(tmp_path / "mine-20260101-000000")).step == 5
    assert again.epoch == 0.5


def test_a_machine_that_was_started_anew_since_is_named(tmp_path: Path) -> None:
    run = a_run(tmp_path, host="", heartbeat=0.0)
    status = orjson.loads((run / STATUS).read_bytes())
    (run / STATUS).write_bytes(orjson.dumps(status | {"heartbeat": 10.0, "host": os.uname().nodename}))
    (run / EVENTS).unlink()
    assert "This machine was started anew at" in examine(run).death.what


def test_what_happened_before_a_resume_is_not_taken_for_the_end(tmp_path: Path) -> None:
    run = ended(tmp_path, "aborted", "non-finite", "Step 3 was not finite", exit_code=3, cause="first x")
    tell(run, "resumed")
    tell(run, "aborted", "collapse")
    assert (examine(run).death.kind, examine(run).not_finite) == ("rule", "")


def test_an_abort_rules_own_change_is_offered(tmp_path: Path) -> None:
    run = a_run(tmp_path, state="aborted", exit_code=3)
    tell(run, "abort collapse", "vq.usage < 0.05", set={"optimizer": {"lr": 0.001}})
    (command,) = next_commands(examine(run))
    assert command == f"jepa rollback {run} --scenario collapse"
    tell(run, "abort other", "loss > 9", set={})
    check, rollback = next_commands(examine(run))
    assert check == f"jepa check {run}"
    assert rollback == f"jepa rollback {run} --scenario other --set KEY=VALUE"


def test_batches_fired_rules_and_the_component_are_told(tmp_path: Path) -> None:
    run = ended(tmp_path, "aborted", "non-finite", "Step 8", exit_code=3, cause="first x", step=8)
    write_bad_batch(run, BadBatch(step=8, sequences=((4, 2),), micro=0, at_fault=(2,), tasks=("a",)), b"tensors")
    tell(run, "scenario B", "relational near zero")
    found = examine(run)
    assert [batch.rows for batch in found.batches] == [(2,)]
    assert [event.name for event in found.fired] == ["scenario B"]
    assert found.not_finite == "first x"
    again = list(next_commands(found))[-1]
    assert again == f"jepa run --resume {run}"
    component = examine(WAYS["component"][0](tmp_path / "other")).component
    assert component is not None
    assert (component.name, component.distribution, component.place) == ("mine", "jepa-mine", "x.py:41")


def test_local_plugins_are_named_in_the_command(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    files = [{"path": "/a b/mine.py", "sha256": "0"}, "x", {"path": 1}]
    (run / ENVIRONMENT).write_bytes(orjson.dumps({"plugin_files": files}))
    (command,) = next_commands(examine(run))
    assert command == f"jepa run --resume {run} --plugin '/a b/mine.py'"


def answered(run: Path) -> Autopsy:
    """With all that follows from it."""
    found = examine(run)
    next_commands(found)
    return found


@pytest.mark.parametrize("put", KINDS)
@pytest.mark.parametrize("name", [METRICS, EVENTS, STATUS, RECIPE, ENVIRONMENT, CONSOLE, "bad_batches", "checkpoints"])
def test_a_pipe_a_device_or_a_folder_in_a_files_place_is_answered(tmp_path: Path, name: str, put: Put) -> None:
    found = answered(run_with(tmp_path, name, put))
    assert bool(found.unreadable) == (name in {METRICS, EVENTS, RECIPE})


GARBAGE = {
    "empty": b"",
    "zeros": b"\0" * 4096,
    "not UTF-8": b"\xff\xfe{}\n",
    "deep": b"[" * 200_000,
    "wrong types": b'{"state": "failed", "step": "x", "name": 7, "evidence": [], "message": {}, "time": "nan"}\n' * 3,
    "huge numbers": b'{"state": "running", "step": 1e999, "time": 1e300, "name": "failed", "heartbeat": 1e300}\n',
    "odd evidence": b'{"name": "failed", "evidence": {"component": {"name": 1}, "out_of_memory": {"train.batch_size": '
    b'-5}, "traceback": 7}}\n{"name": "abort x", "evidence": {"set": {"": {"": null}}}}\n',
    "cut": b'{"step": 1}\n{"step": 2, "loss.tot',
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("name", [METRICS, EVENTS, STATUS, RECIPE, ENVIRONMENT, CONSOLE])
def test_garbage_in_any_file_is_answered(tmp_path: Path, name: str, content: bytes) -> None:
    run = a_run(tmp_path, state="failed", exit_code=1)
    (run / name).write_bytes(content)
    assert answered(run).run == run.name


def test_a_folder_that_is_no_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        examine(tmp_path)


def test_nothing_is_written(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.rglob("*")}
    next_commands(examine(run))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.rglob("*")} == before


def test_a_rule_whose_change_cannot_be_made_is_gone_back_for_without_it(tmp_path: Path) -> None:
    change = {"set": {"train": {"epochs": -1}}, "first_sign": 7}
    run = ended(tmp_path, "aborted", "abort collapse", "usage < 0.05", exit_code=3, **change, fault="train.epochs")
    check, rollback = next_commands(examine(run))
    assert check == f"jepa check {run}"
    assert rollback == f"jepa rollback {run} --scenario collapse --set KEY=VALUE"


def test_a_run_without_its_recipe_is_neither_resumed_nor_rolled_back(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert next_commands(examine(run)) == {f"jepa run --resume {run}": "goes on from step 6"}
    (run / RECIPE).unlink()
    assert next_commands(autopsy := examine(run)) == {}
    assert "recipe.toml cannot be read, so nothing can go on from here" in autopsy.unreadable[0]
