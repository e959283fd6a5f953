"""`jepa demo`: a scripted run, and the monitor on it."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from jepa_core.commands.flag import Flag
from jepa_core.visible_text import visible


def demo(
    *,
    seconds: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=3600))] = 30.0,
    runs_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
    headless: Flag = False,
    ascii: bool | None = None,  # noqa: A002  # the flag's name
    color: bool = True,
) -> None:
    """Watch a scripted run go wrong and be mended: health, a codebook that slides, a loss that runs away, a NaN.

    For example: jepa demo --seconds 60 --runs-dir runs

    The figures are made up; the run directory, the rules that fire on them and the rollback are real. Nothing is
    trained. Press r when a rollback is flagged, or wait until it is made.

    Parameters
    ----------
    seconds
        How long the story takes; 0 for as fast as it can.
    runs_dir
        The folder for the run directories, which are kept there. When not given, a temporary one, removed at the end.
    headless
        Write the run without the monitor, and keep it; so does any output that is no terminal.
    ascii
        Draw with ASCII characters alone; when not given, only where the terminal does not read UTF-8.
    color
        Draw in colour; the environment variable NO_COLOR switches it off, too.
    """
    if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _write_headless(runs_dir or _temporary_folder(), seconds)
    else:
        _show(runs_dir, seconds, ascii_only=ascii, has_colour=color)


def _write_headless(folder: Path, seconds: float) -> None:
    from jepa_core.presentation.terminal import console_for
    from jepa_monitor.demo.script import write_demo

    console = console_for()
    write_demo(folder, seconds=seconds, console=console)
    console.print(f"\nBoth runs are kept in {folder}. Open them: jepa monitor {folder}", soft_wrap=True)


def _show(runs_dir: Path | None, seconds: float, *, ascii_only: bool | None, has_colour: bool) -> None:
    from jepa_monitor.command import monitor
    from jepa_monitor.demo.writing_process import writing_process

    folder = runs_dir or _temporary_folder()
    try:
        with _left_in_order(), writing_process(folder, seconds) as run:
            monitor(str(run), runs_dir=folder, ascii=ascii_only, color=has_colour)
    finally:
        if runs_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    if runs_dir is None:
        print(f"The demo's runs were in {folder}, and are removed. To keep them: jepa demo --runs-dir runs")
    else:
        print(visible(f"The demo's runs are kept in {folder}. Open them again: jepa monitor {folder}"))


@contextmanager
def _left_in_order() -> Iterator[None]:
    """Let a closed terminal and a termination end this like any other exit, so that nothing temporary stays."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _temporary_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="jepa-demo-"))
