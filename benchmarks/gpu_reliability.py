"""What is promised of a run when something goes wrong, tried on a GPU in less than ten minutes; the table comes last.

    resume       a deterministic run that was stopped and goes on ends with the same bytes as one that never was
    stop         SIGTERM while the step is compiled, and in a step: exit code 143, and a checkpoint
    memory       a batch that does not fit: exit code 1 and the settings to change, no traceback
    overflow     fp16 overflows: those steps are skipped, and training goes on; without end: it stops, with the cause
    tests        those marked `cuda`

    python benchmarks/gpu_reliability.py [--device cuda] [--json FILE] [PART …]

With `--device cpu` it is rehearsed: what needs a GPU is left out, and said.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

RECIPE = "traces"
SMALL = {
    "cuda": ("data.num_sequences=4000", "train.batch_size=256", "train.accumulate=1", "diagnostics.log_every_steps=5"),
    "cpu": ("data.num_sequences=500", "train.batch_size=32", "train.accumulate=1", "diagnostics.log_every_steps=2"),
}
ROOT = Path(__file__).parents[1]
LONGEST = 150.0
"""Seconds that one run may take."""


@attrs.frozen
class Outcome:
    """How a part went."""

    part: str
    holds: bool | None
    """None where it could not be tried."""
    what: str


class Runs:
    """Runs of the command in a folder."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device

    def command(self, name: str, *sets: str, resume: bool = False) -> list[str]:
        runs_dir = self.folder / name
        what = ["--resume", str(self.run(name))] if resume else [RECIPE, "--no-audit", "--runs-dir", str(runs_dir)]
        flags = [word for each in (() if resume else (*SMALL[self.device], *sets)) for word in ("--set", each)]
        return [sys.executable, "-m", "jepa_core", "run", *what, *flags, "--device", self.device]

    def run(self, name: str) -> Path:
        (found,) = (path for path in (self.folder / name).iterdir() if path.is_dir())
        return found

    def ended(self, name: str, *sets: str, resume: bool = False) -> tuple[int, str]:
        """Exit code and output of a run that is let alone."""
        done = subprocess.run(
            self.command(name, *sets, resume=resume),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
        return done.returncode, done.stdout + done.stderr

    def stopped(self, name: str, *sets: str, when: Callable[[Path], bool]) -> tuple[int, float]:
        """Exit code of a run that gets SIGTERM once `when` holds of its directory, and the seconds until it ended."""
        with self._started(name, *sets) as process:
            deadline = time.monotonic() + LONGEST
            while not (any((self.folder / name).glob("*/status.json")) and when(self.run(name))):
                if process.poll() is not None or time.monotonic() > deadline:
                    return process.poll() or -1, 0.0
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            sent = time.monotonic()
            return process.wait(timeout=LONGEST), time.monotonic() - sent

    @contextmanager
    def _started(self, name: str, *sets: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.txt").open("wb") as output:
            process = subprocess.Popen(self.command(name, *sets), cwd=ROOT, stdout=output, stderr=output)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def state(self, name: str) -> str:
        """SHA-256 of the newest checkpoint's tensors."""
        steps = self.steps(name)
        content = (self.run(name) / "checkpoints" / f"step-{steps[-1]}" / "tensors.safetensors").read_bytes()
        return f"step {steps[-1]}, {hashlib.sha256(content).hexdigest()[:16]}"

    def steps(self, name: str) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.run(name) / "checkpoints").glob("step-*"))

    def events(self, name: str) -> list[str]:
        lines = (self.run(name) / "events.jsonl").read_text().splitlines()
        return [f"{event['name']}: {event['message']}" for event in map(json.loads, lines)]


def rows(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def resume(runs: Runs) -> Iterator[Outcome]:
    sets = ("train.epochs=4", "train.deterministic=true", "checkpoint.every_steps=10")
    code, said = runs.ended("straight", *sets)
    if code not in (0, 4):
        yield Outcome("resume", False, f"exit {code}: {said[-300:]}")
        return
    stopped, _ = runs.stopped("parts", *sets, when=lambda run: rows(run) >= 4)
    at = runs.steps("parts")[-1]
    runs.ended("parts", resume=True)
    ours, straight = runs.state("parts"), runs.state("straight")
    told = f"stopped with {stopped} at step {at}; {ours} beside {straight}"
    yield Outcome("resume, bitwise", stopped == 143 and ours == straight, told)


def stop(runs: Runs) -> Iterator[Outcome]:
    def is_compiling(run: Path) -> bool:
        events = run / "events.jsonl"
        return events.exists() and b'"compiling"' in events.read_bytes()

    for name, sets, when in (
        ("in compile", ("train.compile=true",), is_compiling),
        ("in a step", ("train.compile=false",), lambda run: rows(run) >= 2),
    ):
        code, seconds = runs.stopped(f"stop {name}", *sets, "train.epochs=400", when=when)
        steps = runs.steps(f"stop {name}") if code == 143 else []
        told = f"exit {code} after {seconds:.1f} s, checkpoints {steps}"
        yield Outcome(f"SIGTERM {name}", code == 143 and bool(steps), told)


def memory(runs: Runs) -> Iterator[Outcome]:
    if runs.device == "cpu":
        yield Outcome("out of memory", None, "needs a GPU: a CPU's memory is everybody's")
        return
    # Attention over every cell of 30 × 30 grids, for all sequences at once.
    code, said = runs.ended(
        "memory",
        "train.batch_size=3072",
        "data.side=30",
        "encoder={kind='cells', patch=1, dim=1024, layers=24, heads=16}",
    )
    says = "train.batch_size=" in said and "Out of memory" in said and "Traceback" not in said
    yield Outcome("out of memory", code == 1 and says, f"exit {code}: {' '.join(said.split())[-400:]}")


def overflow(runs: Runs) -> Iterator[Outcome]:
    if runs.device == "cpu":
        yield Outcome("fp16 overflow", None, "fp16 training needs a GPU")
        return
    code, said = runs.ended("overflow", "train.precision=fp16", "losses.info_nce.weight=3000.0", "train.epochs=4")
    skipped = [event for event in runs.events("overflow") if "kipped" in event]
    yield Outcome("fp16, some overflow", code in (0, 4) and bool(skipped), f"exit {code}; {skipped[:1] or said[-300:]}")
    code, said = runs.ended("collapse", "train.precision=fp16", "losses.info_nce.weight=1e30", "train.epochs=8")
    critical = [event for event in runs.events("collapse") if "loss scaling collapsed" in event]
    yield Outcome("fp16, all overflow", code == 3 and bool(critical), f"exit {code}; {critical or said[-300:]}")


def tests(runs: Runs) -> Iterator[Outcome]:
    # Those files alone: others import what a machine for training need not have.
    marked = [
        str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text("utf-8")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", "-m", "cuda", *marked]
    if runs.device == "cpu":
        command.append("--collect-only")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    told = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    holds = None if runs.device == "cpu" else done.returncode == 0
    yield Outcome("tests marked cuda", holds, "; ".join([told, *failed]))


PARTS: dict[str, Callable[[Runs], Iterator[Outcome]]] = {
    "resume": resume,
    "stop": stop,
    "memory": memory,
    "overflow": overflow,
    "tests": tests,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}. Parts: {', '.join(PARTS)}")
    ours = [str(ROOT / name) for name in ("", "plugins", "monitor")]
    os.environ["PYTHONPATH"] = os.pathsep.join([*ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    outcomes: list[Outcome] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder), given.device)
        for name in given.parts or PARTS:
            try:
                found = list(PARTS[name](runs))
            except Exception as error:  # the other parts are tried all the same
                found = [Outcome(name, False, f"{type(error).__name__}: {error}")]
            outcomes += found
            for outcome in found:
                print(f"{time.monotonic() - started:6.0f} s  {outcome.part}", flush=True)
            if given.json:
                given.json.write_text(json.dumps([attrs.asdict(outcome) for outcome in outcomes], indent=1))
    print()
    for outcome in outcomes:
        word = {True: "holds", False: "FAILS", None: "not tried"}[outcome.holds]
        print(f"{outcome.part:<22}{word:<11}{outcome.what}")
    return int(any(outcome.holds is False for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
