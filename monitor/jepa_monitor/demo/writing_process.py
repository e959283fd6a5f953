"""The process that writes the demo, apart from the monitor: the run directory is the only link between the two.

It lives as long as its standard input is open, so that it ends with whoever started it, however that ends.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jepa_core.errors import JepaError, RunDirectoryError

_PATIENCE_SECONDS = 10.0
"""Longest wait for a process that shall end."""


@contextlib.contextmanager
def writing_process(folder: Path, seconds: float) -> Iterator[Path]:
    """Write the demo into `folder` while the block runs; gives its first run directory once that can be read.

    Raises:
        RunDirectoryError: nothing could be written.
    """
    command = [sys.executable, "-P", "-m", __name__, str(folder), str(seconds)]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal is the monitor's
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        first_run = process.stdout.readline().rstrip("\n")
        if not first_run:
            process.wait(_PATIENCE_SECONDS)
            complaints.seek(0)
            raise RunDirectoryError(f"The demo's run could not be written into {folder}:\n{complaints.read().strip()}")
        try:
            yield Path(first_run)
        finally:
            process.stdin.close()
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class _StarterGoneError(Exception):
    """Standard input was closed."""


def _sleep_while_wanted(seconds: float) -> None:
    """Sleep, and wake up when the standard input is closed: nothing is ever written to it."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    if readable:
        raise _StarterGoneError


def _main(folder: str, seconds: str) -> None:
    from jepa_monitor.demo.script import write_demo

    with contextlib.suppress(_StarterGoneError):
        write_demo(
            Path(folder),
            seconds=float(seconds),
            sleep=_sleep_while_wanted,
            announce=lambda run: print(run, flush=True),
        )


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except JepaError as error:
        sys.exit(str(error))
