"""A whole `jepa run`, as a process of its own: when it has its first row, its last step and its verdict."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs

from jepa_core.benchmarking.results import MS, Result, Row
from jepa_core.errors import JepaError
from jepa_core.run_directory.layout import METRICS, VERDICT

_LOOK_EVERY = 0.02
"""Seconds between two looks at the run's files."""
_JUDGED = (0, 3, 4)
"""Exit codes of a run that came to its verdict."""


@attrs.frozen(kw_only=True)
class Phases:
    """Seconds from the start of the process."""

    first_row: float
    last_row: float
    verdict: float
    """Until it stands in the run directory."""
    process: float
    """Until the process has ended."""


def measured_run(
    arguments: Sequence[str], called: str, part: str, *, tell: Callable[[str], None] = lambda _: None
) -> Result:
    """Train, and forget the run.

    Args:
        arguments: of `jepa run`: the recipe and its flags.
        called: what they are, in words.
        part: the name of this part.
        tell: called with what the run is doing.

    Raises:
        JepaError: the run came to no verdict; with what it said.
    """
    tell(f"{part} · {called} · until its first row")
    phases = timed_run(arguments, lambda: tell(f"{part} · {called} · until its verdict"))
    named = {
        "to the first row": phases.first_row,
        "to the last row": phases.last_row,
        "to the verdict": phases.verdict,
        "to the end of the process": phases.process,
    }
    rows = tuple(Row(way=way, ms=MS * seconds) for way, seconds in named.items())
    return Result(part=part, case=f"jepa run {called}, from the start of the process", rows=rows)


def timed_run(arguments: Sequence[str], at_first_row: Callable[[], None] = lambda: None) -> Phases:
    """Train in a folder that is gone afterwards, whatever happens."""
    with ended_by_terminate(), tempfile.TemporaryDirectory(prefix="jepa-bench-") as folder:
        runs, log = Path(folder) / "runs", Path(folder) / "console.log"
        command = [sys.executable, "-P", "-m", "jepa_core.cli", "run", *arguments, "--runs-dir", str(runs)]
        begun, first = time.time(), 0.0
        with log.open("wb") as console:
            # In a group of its own: Ctrl-C reaches this process alone, which ends that one.
            process = subprocess.Popen(command, stdout=console, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                while process.poll() is None:
                    if not first and _has_row(runs):
                        first = time.time()
                        at_first_row()
                    time.sleep(_LOOK_EVERY)
            finally:
                process.kill()
                process.wait()
        ended = time.time()
        if process.returncode not in _JUDGED:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise JepaError(f"jepa run {' '.join(arguments)} ended with code {process.returncode}:\n{said[-2000:]}")
        (run,) = runs.iterdir()
        return Phases(
            first_row=(first or ended) - begun,
            last_row=(run / METRICS).stat().st_mtime - begun,
            verdict=(run / VERDICT).stat().st_mtime - begun,
            process=ended - begun,
        )


def _has_row(runs: Path) -> bool:
    return any(file.stat().st_size for file in runs.glob(f"*/{METRICS}"))


@contextmanager
def ended_by_terminate() -> Iterator[None]:
    """While entered, a signal that would end this process ends it by way of `finally`, so that nothing stays."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
