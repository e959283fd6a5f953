"""Files that appear whole: whatever ends the process, nothing is left beside them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.engine.output_files import appearing_whole, check_output
from jepa_core.errors import DataError

WRITING = """
import sys, time
from pathlib import Path
from jepa_core.engine.output_files import appearing_whole

with appearing_whole(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def ended(path: Path, number: signal.Signals) -> int:
    """How a process ends that gets a signal while it writes the file."""
    process = subprocess.Popen([sys.executable, "-c", WRITING, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == "writing\n"
    assert len(list(path.parent.iterdir())) == 1
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    assert ended(tmp_path / "mine.npz", number) == -number
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    assert ended(tmp_path / "mine.npz", signal.SIGKILL) == -signal.SIGKILL
    of_living = tmp_path / f".jepa-{socket.gethostname()}-{os.getppid()}-0123abcd.partial.npz"
    of_others = tmp_path / ".jepa-elsewhere-1-0123abcd.partial.npz"
    mine = tmp_path / ".jepa-notes.npz"
    for kept in (of_living, of_others, mine):
        kept.touch()
    with appearing_whole(tmp_path / "other.npz") as draft:
        draft.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {of_living.name, of_others.name, mine.name, "other.npz"}


def test_handlers_are_as_they_were_and_those_of_others_stay(tmp_path: Path) -> None:
    def of_others(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, of_others)
    try:
        with appearing_whole(tmp_path / "mine.npz") as draft:
            assert signal.getsignal(signal.SIGTERM) is of_others
            assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
            draft.touch()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "data.bin").write_text("before")
    link = tmp_path / "link.npz"
    link.symlink_to("elsewhere/data.bin")
    check_output(link, [".npz"], "arrays", replace=True)
    with appearing_whole(link) as draft:
        assert (draft.parent, draft.suffix) == (folder, ".npz")
        draft.write_text("after")
    assert link.is_symlink()
    assert (folder / "data.bin").read_text() == "after"
    assert [path.name for path in folder.iterdir()] == ["data.bin"]


def test_a_link_into_no_folder_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to("none/data.npz")
    with pytest.raises(DataError, match=f"There is no folder {tmp_path}/none to write"):
        check_output(tmp_path / "link.npz", [".npz"], "arrays", replace=True)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match=r"pipe\.npz is no plain file"):
        check_output(tmp_path / "pipe.npz", [".npz"], "arrays", replace=True)
