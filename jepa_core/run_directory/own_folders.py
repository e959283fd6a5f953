"""The folders of a run that is being written: what somebody deletes or puts in their place is noticed and made good.

A link, a pipe or a file under such a name is put aside, as one in a file's place is: nothing is written through it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from jepa_core.plain_files import folder_descriptor, let_go
from jepa_core.run_directory.layout import CHECKPOINTS, CONTROL
from jepa_core.run_directory.replacing import put_aside

HELD = {CHECKPOINTS: "checkpoints", CONTROL: "requests"}
"""Folders that a run has from its first moment on, and what lies in each."""


class OwnFolders:
    """Holds them open, so that no other folder can be taken for one of them. Any thread may ask, until `close`."""

    def __init__(self, run: int) -> None:
        """`run`: descriptor of the run directory, which is open for longer than this is used."""
        self._run = run
        self._held = dict[str, int]()
        self._lost: list[tuple[str, str]] = []
        """Names, and what was put aside for each is called now."""
        self._looking = threading.Lock()
        for name in HELD:
            with contextlib.suppress(OSError):
                self._held[name] = self._opened(name)

    def mend(self, name: str) -> None:
        """Make a folder anew where it was deleted or replaced; a folder that has taken its place is gone on with.

        Raises:
            OSError: the disk refuses; the next call tries again.
        """
        with self._looking:
            before = self._held.get(name)
            if before is not None and self._is_there(name, before):
                return
            aside = put_aside(self._run, name, is_wanted=stat.S_ISDIR)
            if before is not None or aside:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=self._run)
                self._lost.append((name, aside))
            with contextlib.suppress(FileNotFoundError):  # it never was: whoever needs it makes it
                self._held[name] = self._opened(name)
                if before is not None:
                    let_go(before)

    def lost(self) -> Iterator[tuple[str, str]]:
        """Look at all of them; those that were deleted or replaced since the last call: the name, and what there is to
        say of it."""
        for name in HELD:
            with contextlib.suppress(OSError):  # the next look tries again
                self.mend(name)
        while self._lost:
            name, aside = self._lost.pop(0)
            put = f" What was put there is called {aside} now." if aside else ""
            yield (
                name,
                f"{HELD[name]} that were in it may be lost. Those from now on are in the folder that is there.{put}",
            )

    def close(self) -> None:
        """Let them go."""
        while self._held:
            let_go(self._held.popitem()[1])

    def _opened(self, name: str) -> int:
        return folder_descriptor(Path(name), folder=self._run)

    def _is_there(self, name: str, held: int) -> bool:
        try:
            return os.path.samestat(os.stat(name, dir_fd=self._run, follow_symlinks=False), os.fstat(held))
        except FileNotFoundError:
            return False
