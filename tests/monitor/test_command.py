from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_monitor.command import monitor
from tests.monitor.recorded import NOON, record

SECONDS = 60
"""That a program in a terminal may take, on a machine that is busy."""


def test_where_there_is_no_screen_text_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monitor(str(record(tmp_path / "mine")))
    assert "mine   ✔ finished   epoch 4/4   step 400/400" in capsys.readouterr().out


def test_once_in_ascii_has_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monitor(str(record(tmp_path / "mine")), once=True, ascii=True)
    assert capsys.readouterr().out.isascii()


def test_json_is_data_of_a_run_or_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "mine-20260101-000000")
    monitor("mine", runs_dir=tmp_path, json=True)
    assert orjson.loads(capsys.readouterr().out)["name"] == "mine-20260101-000000"
    monitor(str(tmp_path), json=True)
    assert "mine-20260101-000000" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="no run"):
        monitor("mine", runs_dir=tmp_path)


def test_in_a_terminal_the_dashboard_opens_and_q_leaves_it(tmp_path: Path) -> None:
    shown, code = in_terminal(["monitor", str(record(tmp_path / "mine"))], until=b"grad.norm", keys=b"q")
    assert b"\x1b[?1049h" in shown
    assert shown.index(b"reading") < shown.index(b"grad.norm")
    assert code == 0


@pytest.mark.parametrize("given", [[], ["latest"]])
def test_without_a_run_s_name_it_goes_on_to_a_run_that_begins(tmp_path: Path, given: list[str]) -> None:
    record(tmp_path / "old-20260101-000000")
    new = tmp_path / "new-20260102-000000"
    _, code = in_terminal(
        ["monitor", *given, "--runs-dir", str(tmp_path)],
        meanwhile=(b"grad.norm", lambda: record(new, started=NOON + 100)),
        until=b"new-20260102-000000",
        keys=b"q",
    )
    assert code == 0


def test_without_colour_and_unicode_the_terminal_gets_neither(tmp_path: Path) -> None:
    arguments = ["monitor", str(record(tmp_path / "mine")), "--ascii", "--no-color"]
    shown, code = in_terminal(arguments, until=b"grad.norm", keys=b"q")
    assert shown.isascii()
    assert b"38;2;" not in shown
    assert b"48;2;" not in shown
    assert code == 0


@pytest.mark.parametrize("said", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}], ids=["locale", "encoding"])
def test_a_terminal_that_does_not_read_utf_8_gets_ascii_unless_told_otherwise(
    tmp_path: Path, said: Mapping[str, str]
) -> None:
    shown, code = in_terminal(
        ["monitor", str(record(tmp_path / "mine"))], until=b"grad.norm", keys=b"q", environment=said
    )
    assert shown.isascii()
    assert b"\\u25" not in shown
    assert b"\\x" not in shown
    assert code == 0


def test_a_locale_without_utf_8_holds_for_what_commands_print_to_a_terminal_too(tmp_path: Path) -> None:
    record(tmp_path / "mine-20260101-000000")
    arguments = ["runs", "--runs-dir", str(tmp_path)]
    shown, _ = in_terminal(arguments, until=b"finished", keys=b"", environment={"LANG": "POSIX"})
    assert b"+ finished" in shown
    shown, _ = in_terminal(arguments, until=b"finished", keys=b"", environment={"LANG": "en_GB.UTF-8"})
    assert "✔ finished".encode() in shown


def test_it_leaves_when_its_terminal_is_closed_without_a_signal(tmp_path: Path) -> None:
    _, code = in_terminal(["monitor", str(record(tmp_path / "mine"))], until=b"grad.norm", keys=b"", closing=True)
    assert code == 129


def test_a_dumb_terminal_gets_text(tmp_path: Path) -> None:
    shown, code = in_terminal(["monitor", str(record(tmp_path / "mine"))], until=b"grad.norm", keys=b"", term="dumb")
    assert b"\x1b[?1049h" not in shown
    assert code == 0


def in_terminal(
    arguments: list[str],
    *,
    until: bytes,
    keys: bytes,
    term: str = "xterm-256color",
    closing: bool = False,
    environment: Mapping[str, str] | None = None,
    meanwhile: tuple[bytes, Callable[[], object]] | None = None,
) -> tuple[bytes, int]:
    """What the program writes to a terminal, and its exit code; `keys` are typed once `until` was written.

    `environment` says what there is besides, also in place of the locale;
    `meanwhile` is done once its words were written.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    inherited = {**os.environ, "LANG": "C.UTF-8"}
    for name in ("NO_COLOR", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE"):
        inherited.pop(name, None)
    own = {"TERM": term, "COLORTERM": "truecolor", "JEPA_MONITOR_NO_PREFERENCES": "1"}
    command = [sys.executable, "-m", "jepa_core.cli", *arguments]
    program = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, **own, **(environment or {})},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.1)
        try:
            shown += os.read(ours, 1 << 16) if ready else b""
        except OSError:
            break
        if meanwhile is not None and meanwhile[0] in shown:
            meanwhile[1]()
            meanwhile = None
        if closing and until in shown:
            break
        if keys and until in shown:
            os.write(ours, keys)
            keys = b""
    os.close(ours)
    try:
        return shown, program.wait(10)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
        raise
