"""One run as a process of its own: `python -m jepa_core.cli run`, its output in a file, its end as an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jepa_core.ablation.devices import Place
from jepa_core.ablation.folder import AblationFolder
from jepa_core.ablation.plan import Outcome, PlannedRun
from jepa_core.ablation.variation import SEED_KEY
from jepa_core.errors import RunDirectoryError

_MOST_OUTPUT = 1 << 16
_MOST_WORDS = 400
_TRACEBACK = "Traceback (most recent call last)"


class RunProcess:
    """A run that goes on, in a session of its own: Ctrl-C reaches it through `stop` alone, and only once."""

    def __init__(self, folder: AblationFolder, planned: PlannedRun, place: Place, resume: Path | None) -> None:
        """Start it, from the beginning or from the newest checkpoint of `resume`.

        Raises:
            RunDirectoryError: its output cannot be written.
        """
        self.planned = planned
        self.place = place
        self._log = folder.log_file(planned)
        self._began = time.monotonic()
        folder.begin(planned)
        try:
            with self._log.open("ab") as log:
                self._log_begins = log.tell()
                self._process = subprocess.Popen(
                    run_command(folder, planned, place, resume),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **place.environment},
                    start_new_session=True,
                )
        except OSError as error:
            raise RunDirectoryError(f"{self._log} cannot be written: {error.strerror}.") from error

    def ended(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        code = self._process.poll()
        if code is None:
            return None
        message = "" if code in (0, 3, 4, 130, 143) else self._last_words(code)
        return Outcome(exit_code=code, message=message, seconds=time.monotonic() - self._began)

    def stop(self) -> None:
        """Ask it to save and end; asked again, it ends at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Until it has ended."""
        self._process.wait()

    def _last_words(self, code: int) -> str:
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        with self._log.open("rb") as log:
            log.seek(max(self._log_begins, os.fstat(log.fileno()).st_size - _MOST_OUTPUT))
            text = log.read(_MOST_OUTPUT).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " ".join(lines[-1:] if _TRACEBACK in text else lines)[-_MOST_WORDS:]


def run_command(folder: AblationFolder, planned: PlannedRun, place: Place, resume: Path | None) -> Sequence[str]:
    """The command line of a run."""
    plan = folder.plan
    plugins = [flag for path, _ in plan.plugin_files for flag in ("--plugin", path)]
    blocked = [flag for name in plan.blocked_plugins for flag in ("--no-plugin", name)]
    return (
        *(sys.executable, "-P", "-m", "jepa_core.cli", "run"),
        *(("--resume", str(resume)) if resume else _from_the_beginning(folder, planned)),
        *("--device", place.device, "--no-audit"),
        *plugins,
        *blocked,
    )


def _from_the_beginning(folder: AblationFolder, planned: PlannedRun) -> Sequence[str]:
    return (
        str(folder.recipe_file(planned.cell)),
        *("--set", f"{SEED_KEY}={planned.seed}"),
        *("--set", f"name={planned.name}"),
        *("--runs-dir", str(folder.path)),
    )
