from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jepa_core.cli import program
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_monitor.demo.command import demo

CURVES = b"\xe2[\xa0-\xa3][\x80-\xbf]"
"""Braille."""


def test_without_a_terminal_it_writes_both_runs_and_says_how_to_open_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo(seconds=0, runs_dir=tmp_path)
    printed = capsys.readouterr().out
    assert "The relational loss runs away" in printed
    assert "Verdict: success against gentle_vq" in printed
    assert printed.endswith(f"Both runs are kept in {tmp_path}. Open them: jepa monitor {tmp_path}\n")
    assert [RunReader(run).state() for run in runs_in(tmp_path)] == ["rolled_back", "finished"]


def test_its_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    program("demo")(["demo", "--help"])
    assert "For example: jepa demo" in capsys.readouterr().out


def test_it_loads_neither_torch_nor_textual() -> None:
    code = (
        "import sys, jepa_monitor.demo.command, jepa_monitor.demo.script;"
        "sys.exit(bool({'torch', 'textual'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class InTerminal:
    """`jepa demo` in a pseudo-terminal."""

    def __init__(self, temporary: Path, options: tuple[str, ...]) -> None:
        self._master, slave = pty.openpty()
        environment = {
            **os.environ,
            "TMPDIR": str(temporary),
            "TERM": "xterm-256color",
            "COLUMNS": "100",
            "LINES": "30",
        }
        command = [sys.executable, "-m", "jepa_core.cli", "demo", "--seconds", "20", *options]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.written = b""

    def read_until(self, pattern: bytes) -> None:
        """Read on until `pattern` was written, or the program has ended."""
        deadline = time.monotonic() + 60
        while not re.search(pattern, self.written):
            assert time.monotonic() < deadline, self.written
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.written += os.read(self._master, 1 << 16)
                except OSError:
                    return

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextmanager
def in_terminal(temporary: Path, *options: str) -> Iterator[InTerminal]:
    terminal = InTerminal(temporary, options)
    try:
        yield terminal
    finally:
        terminal.close()


def test_in_a_terminal_it_opens_the_monitor_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with in_terminal(tmp_path) as terminal:
        terminal.read_until(CURVES)
        (folder,) = tmp_path.iterdir()
        assert [RunReader(run).state() for run in runs_in(folder)] == ["running"]
        terminal.press(b"q")
        terminal.read_until(b"To keep them: jepa demo --runs-dir runs")
        assert terminal.process.wait(30) == 0
    assert f"The demo's runs were in {folder}, and are removed." in terminal.written.decode()
    assert not list(tmp_path.iterdir())


def test_a_plain_terminal_that_goes_away_saw_plain_text_and_leaves_nothing_behind_either(tmp_path: Path) -> None:
    with in_terminal(tmp_path, "--ascii", "--no-color") as terminal:
        terminal.read_until(b"val.retrieval.mrr")
        assert terminal.written.isascii()
        assert not re.search(rb"\x1b\[[34]8;", terminal.written)
        terminal.process.send_signal(signal.SIGHUP)
        terminal.read_until(b"nothing more")
        assert terminal.process.wait(30) == 128 + signal.SIGHUP
    assert not list(tmp_path.iterdir())
