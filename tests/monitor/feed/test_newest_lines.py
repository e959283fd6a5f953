"""The end of a file of lines."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from jepa_monitor.feed.newest_lines import newest_record, newest_text


def test_the_last_complete_record_and_all_text_are_given(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert newest_text(tmp_path / "lines") == ('{"step": 1}', '{"step": 2}', '{"st')
    assert newest_record(tmp_path / "lines") == {"step": 2}


def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        pytest.fail("waits for somebody to write")

    os.mkfifo(tmp_path / "lines")
    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(20)
    try:
        assert newest_text(tmp_path / "lines") == ()
        assert newest_record(tmp_path / "lines") == {}
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
