"""Files that are replaced as a whole: what a killed process leaves of one is gone when the run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from jepa_core.run_directory.writing import RunWriter

KILLED = """
import os, signal, sys
from pathlib import Path
from jepa_core.run_directory.replacing import replace_file

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], killed)
replace_file(Path(sys.argv[1]) / "status.json", b"{}")
"""


def test_what_killed_processes_left_of_files_that_they_replaced_is_deleted_by_the_next_writer(tmp_path: Path) -> None:
    for call in ("fsync", "replace"):
        done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, call], check=False)
        assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    mine = {".notes.tmp", "a.0123456789abcdef.tmp", ".metrics.jsonl.0123.tmp"}
    for name in mine:
        (tmp_path / name).touch()
    RunWriter(tmp_path).close()
    left = {path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"}
    assert left == mine
