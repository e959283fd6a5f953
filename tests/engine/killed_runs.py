"""A run that gets signals at random instants, again and again, until it comes to its end; beside one that gets none.

    python -m tests.engine.killed_runs 1000 FOLDER [--signals SIGKILL …] [--seed N]

Each process is a fork of this one, so that it has nothing to import, and runs the command `jepa run` from there on. Its
parent sends it the signal after a time that is drawn evenly. What is compared is every byte of the last
checkpoint's tensors and JSON, and rows, diagnostics, verdict and events but for what a clock or a name decides.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import attrs
import orjson
import torch

from jepa_core.cli import main as jepa
from jepa_core.facts import DatasetFacts
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from jepa_core.run_directory.layout import CHECKPOINTS, DIAGNOSTICS, EVENTS, METRICS, RECIPE, VERDICT
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.status import read_status
from jepa_core.run_directory.stored_checkpoints import FILES, stored_checkpoints
from tests.conftest import TINY

VARIED = {
    "train.epochs": "4",
    "train.accumulate": "2",
    "train.batch_size": "8",
    "train.clip_norm": "0.5",
    "train.deterministic": "true",
    "encoder.dropout": "0.1",
    "augmentation.colours": "true",
    "losses.invariance.weight": "0.1",
    "target.ema_decay_end": "1.0",
    "schedule.warmup_steps": "3",
    "checkpoint.every_steps": "2",
    "checkpoint.keep": "2",
    "diagnostics.log_every_steps": "3",
    "diagnostics.every_steps": "4",
    "diagnostics.validate_every_epochs": "0.5",
    "watch.must": "[{id='low', when='loss.total < 0', hold='always'}]",
    "watch.early_stop.patience": "50",
    "watch.scenarios.throughput_dropped": "false",  # the only rule here that a clock decides
}
"""Twenty-four steps with a codebook that is revived, a queue, an average of the encoder, dropout, views, and a rule
that fires."""

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

MADE_BY_GOING_ON = {"started", "resumed", "checkpoint", "interrupted"}
"""Events of which a run that was stopped may have more."""

_SAVED = {"steps", "names"}

SHARE = 0.6
"""Of a whole run's time, the most that a process is let live at first: most are killed before the end, a little further
each."""

_RAISED = 99
_FAILED = {1, 2, _RAISED}
"""Exit codes with which no run here ends."""


@attrs.frozen(kw_only=True)
class Left:
    """What a run left, but for what a clock or a name decides."""

    exit_code: int
    steps: tuple[int, ...]
    """Of the checkpoints."""
    state: str
    """SHA-256 of the newest checkpoint's tensors and JSON."""
    rows: tuple[bytes, ...]
    diagnostics: tuple[bytes, ...]
    events: tuple[bytes, ...]
    """Each once, in the order of their steps."""
    verdict: bytes
    names: tuple[str, ...]
    """Of all files."""

    @staticmethod
    def by(run: Path, exit_code: int) -> Left:
        checkpoints = stored_checkpoints(run / CHECKPOINTS)
        assert all(checkpoint.verify() is None for checkpoint in checkpoints)
        contents = b"".join((checkpoints[-1].path / name).read_bytes() for name in FILES)
        return Left(
            exit_code=exit_code,
            steps=tuple(checkpoint.step for checkpoint in checkpoints),
            state=hashlib.sha256(contents).hexdigest(),
            rows=tuple(orjson.dumps(timeless(row)) for row in lines(run / METRICS)),
            diagnostics=tuple(orjson.dumps(timeless(row)) for row in lines(run / DIAGNOSTICS)),
            events=events_of(run),
            verdict=nameless(run, (run / VERDICT).read_bytes()),
            names=tuple(sorted(str(path.relative_to(run)) for path in run.rglob("*"))),
        )

    def differences(self, other: Left, *, is_killed: bool = True) -> list[str]:
        """Names of what is not equal. Of a run that was not killed but asked to save, checkpoints may be others."""
        ours, theirs = attrs.asdict(self), attrs.asdict(other)
        return [name for name, value in ours.items() if value != theirs[name] and (is_killed or name not in _SAVED)]


def newest_step(run: Path | None) -> int:
    """Of the checkpoints; −1 where there is none."""
    found = stored_checkpoints(run / CHECKPOINTS) if run is not None else []
    return found[-1].step if found else -1


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith(("time", "throughput."))}


def nameless(run: Path, text: bytes) -> bytes:
    return text.replace(str(run).encode(), b"RUN").replace(run.name.encode(), b"RUN")


def events_of(run: Path) -> tuple[bytes, ...]:
    """
    Raises:
        AssertionError: they are not numbered one after the other.
    """
    recorded = lines(run / EVENTS)
    assert [event["sequence"] for event in recorded] == list(range(1, len(recorded) + 1))
    told = [
        orjson.dumps({**timeless(event), "sequence": 0}) for event in recorded if event["name"] not in MADE_BY_GOING_ON
    ]
    return tuple(sorted(set(told), key=lambda event: (orjson.loads(event)["step"], event)))


class Sender:
    """Starts runs of one recipe in a folder, and sends their processes a signal."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        torch.set_num_threads(1)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.recipe = folder / "tiny.toml"
        self.recipe.write_text(TINY)
        self._imported = folder / "imported.txt"
        self.chance = random.Random(seed)
        traces = load_recipe(self.recipe, registry=installed()).recipe.data
        traces.build(DatasetFacts(seed=0))  # shapes are drawn once a process
        self._start_with(SIGNALS)
        self.straight = self.until_its_end(folder / "straight", is_left_alone=True)
        for module in self._imported.read_text().split():
            with suppress(ImportError, KeyError):
                importlib.import_module(module)
        started = time.monotonic()
        again = self.until_its_end(folder / "again", is_left_alone=True)
        self.lasts = time.monotonic() - started
        """Seconds that a whole run takes."""
        differences = again.differences(self.straight)
        assert not differences, f"two runs of which none was killed differ: {differences}"

    def _start_with(self, numbers: Sequence[signal.Signals]) -> None:
        self.numbers, self.share = numbers, SHARE
        self.sent = Counter[signal.Signals]()
        self.slowest = 0.0
        """The most seconds from a signal that stops a run to the end of its process."""

    def num_differing(self, at_least: int, numbers: Sequence[signal.Signals]) -> int:
        """Runs that do not end as one without signals, of as many as it takes to send this number of them."""
        self._start_with(numbers)
        differing = 0
        for run in count(1):
            runs_dir = self.folder / "-".join([*(number.name for number in numbers), str(run)])
            left = self.until_its_end(runs_dir)
            differences = left.differences(self.straight, is_killed=[*numbers] == [signal.SIGKILL])
            if differences:
                differing += 1
                print(f"{runs_dir}: {', '.join(differences)}", flush=True)
            else:
                shutil.rmtree(runs_dir)
            sent = ", ".join(f"{times} × {number.name}" for number, times in self.sent.items())
            ended = f"{self.slowest:.2f} s at most from a signal to the end of its process"
            print(f"{sent}; {run} runs, {differing} differ; {ended}", flush=True)
            if self.sent.total() >= at_least:
                break
        return differing

    def until_its_end(self, runs_dir: Path, *, is_left_alone: bool = False) -> Left:
        """What a run leaves that is started, and gone on with, until it comes to its end."""
        reached = -1
        while True:
            process, number = self._started(runs_dir), self.chance.choice(self.numbers)
            status = self._ended(process, number, 0.0 if is_left_alone else self.share * self.lasts)
            runs = runs_in(runs_dir)
            run = runs[0] if runs else None
            if run is not None and not self._was_stopped(status, number, run):
                self.share = max(0.1, self.share * 0.9)
                return Left.by(run, os.WEXITSTATUS(status))
            before, reached = reached, newest_step(run)
            # A machine becomes slower, so that no process would come further, and faster, so that each would come to
            # its end.
            if reached <= before:
                self.share *= 1.1

    def _started(self, runs_dir: Path) -> int:
        process = os.fork()
        if not process:
            self._train(runs_dir)
        return process

    def _ended(self, process: int, number: signal.Signals, within: float) -> int:
        """How a process ends that gets the signal within so many seconds, if it has not come to its end before; and
        again and again where it asks to save."""
        while within:
            deadline = time.monotonic() + self.chance.uniform(0, within)
            while time.monotonic() < deadline:
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    return status
                time.sleep(0.001)
            os.kill(process, number)
            self.sent[number] += 1
            if number != signal.SIGUSR1:
                break
        sent, (_, status) = time.monotonic(), os.waitpid(process, 0)
        if within:
            self.slowest = max(self.slowest, time.monotonic() - sent)
        return status

    def _was_stopped(self, status: int, number: signal.Signals, run: Path) -> bool:
        """Whether the signal has ended it, and not the run's own end.

        Raises:
            AssertionError: it has ended as it must not, or a step was lost that it had finished.
        """
        told = (self.folder / "output.txt").read_text()
        if os.WIFSIGNALED(status):
            # Before anything was imported a signal does what it does to any program.
            assert os.WTERMSIG(status) == number, told
            return True
        code = os.WEXITSTATUS(status)
        assert code not in _FAILED, told
        if code != 128 + number:
            return False
        found = read_status(run)
        assert found is not None
        assert found.state == "interrupted"
        assert not (run / RECIPE).exists() or found.step == max(0, newest_step(run)), told
        return True

    def _train(self, runs_dir: Path) -> NoReturn:
        """`jepa run`, from where the run can be gone on with, or anew."""
        try:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the command's first line
            sys.stdout = sys.stderr = output = (self.folder / "output.txt").open("a", buffering=1)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            runs = runs_in(runs_dir) if runs_dir.exists() else []
            resumable = [run for run in runs if newest_step(run) >= 0]
            for run in set(runs) - set(resumable):
                shutil.rmtree(run)  # as a person would who is told to start a new run
            sets = [f"--set={key}={value}" for key, value in VARIED.items()]
            new = [str(self.recipe), "--no-audit", "--runs-dir", str(runs_dir), *sets]
            # A device that the parent uses is none that its forks can.
            jepa(["run", "--device", "cpu", *(["--resume", str(resumable[0])] if resumable else new)])
        except SystemExit as ended:
            if not self._imported.exists():
                self._imported.write_text("\n".join(sorted(sys.modules)))
            os._exit(int(ended.code or 0))
        except KeyboardInterrupt:
            os._exit(128 + signal.SIGINT)  # before the command began, as Python does
        except BaseException:
            traceback.print_exc()
        os._exit(_RAISED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, help="of signals, at least")
    parser.add_argument("folder", type=Path, help="for the runs; those that differ stay there")
    names = [each.name for each in SIGNALS]
    parser.add_argument("--signals", nargs="+", choices=names, default=["SIGKILL"], help="one of them a process")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    given = parser.parse_args()
    numbers = [signal.Signals[name] for name in given.signals]
    return bool(Sender(given.folder, given.seed).num_differing(given.number, numbers))


if __name__ == "__main__":
    sys.exit(main())
