from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.run_directory.naming import runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_monitor.demo.writing_process import writing_process


def test_it_writes_apart_and_ends_with_whoever_started_it(tmp_path: Path) -> None:
    with writing_process(tmp_path, 30) as run:
        status = RunReader(run).status()
        assert status is not None
        assert status.state == "running"
        assert status.pid != os.getpid()
        os.kill(status.pid, 0)
    assert RunReader(run).state() == "interrupted"


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from jepa_monitor.demo.writing_process import writing_process\n"
        "with writing_process(Path(sys.argv[1]), 60): print('on', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter, starter.stdout:
        assert starter.stdout.readline() == "on\n"
        starter.kill()
    (run,) = runs_in(tmp_path)
    deadline = time.monotonic() + 10
    while RunReader(run).state() != "interrupted" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert RunReader(run).state() == "interrupted"


def test_a_folder_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunDirectoryError, match="No run directory can be made"), writing_process(tmp_path / "file", 1):
        pass
