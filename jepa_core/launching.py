"""Starting one run as several processes: `jepa run --gpus 2` is torchrun, PyTorch's own launcher, with two additions.

A stop reaches the run once, as a request to save and stop: torchrun by itself would kill ranks that need more than 30
seconds for it. And the exit code is the run's own, where torchrun knows only 0 and failure. Both go through a folder of
the launcher's, in which ranks note their process numbers and rank 0 the run's exit code.

Knows nothing of what ranks do. Loads no torch.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from jepa_core.errors import DataError, JepaError, PluginError, RecipeError
from jepa_core.run_directory.layout import is_run
from jepa_core.run_directory.replacing import replace_file

_FOLDER = "JEPA_LAUNCHER_FOLDER"
_EXIT_CODE = "exit-code"
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def launch(num_ranks: int, arguments: Sequence[str], *, module: str = "jepa_core") -> int:
    """Run `python -m MODULE ARGUMENTS` on each of some ranks of this machine; the run's exit code."""
    with tempfile.TemporaryDirectory(prefix="jepa-ranks-") as folder:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
        # Nothing is imported from the working folder, by torchrun and by ranks, as by `jepa` itself.
        environment = {**os.environ, _FOLDER: folder, "PYTHONSAFEPATH": "1"}
        # torchrun sets this to 1 and warns of it where it is not set.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, _num_cores() // num_ranks)))
        with _forwarding(Path(folder)) as forwarding:
            # In a session of its own: what a terminal sends reaches this process alone.
            torchrun += ["-m", module, *arguments]
            forwarding.process = subprocess.Popen(torchrun, env=environment, start_new_session=True)
            if forwarding.stops:  # it came meanwhile
                _send(forwarding.process.pid, signal.SIGTERM)
            failed = forwarding.process.wait()
        code = _noted(Path(folder) / _EXIT_CODE)
        if code is not None:
            return code
        # Stopped before there was a run that could say so, or at once.
        return 128 + forwarding.stops[-1] if forwarding.stops else (128 - failed if failed < 0 else failed)


def _num_cores() -> int:
    """Those that this process may use, which a container or SLURM limits."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Forwarding:
    """Sends signals on to rank 0, whose word is every rank's.

    A second stop ends all at once, and so does a terminal that is closed, as it ends a run on one process: nothing else
    tells ranks of it, which are in sessions of their own.
    """

    def __init__(self, folder: Path) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        """torchrun, once it is started."""
        self.stops: list[int] = []
        """Stop signals that have come."""
        self._folder = folder

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Act on a signal."""
        if number in _STOPS:
            self.stops.append(number)
        if self.process is None:
            return
        ranks = [pid for file in sorted(self._folder.glob("rank-*")) if (pid := _noted(file)) is not None]
        if len(self.stops) > 1 or number == signal.SIGHUP:
            for pid in ranks:
                _send(pid, signal.SIGKILL)
            _send(self.process.pid, signal.SIGTERM)
        elif ranks:
            _send(ranks[0], number)
        elif number in _STOPS:
            _send(self.process.pid, signal.SIGTERM)
        # Else there is nothing to save yet, and torchrun would die of the signal and leave its ranks behind.


@contextmanager
def _forwarding(folder: Path) -> Iterator[_Forwarding]:
    """While entered, signals go on to the ranks; one that this process ignores, as under nohup, still does."""
    forwarding = _Forwarding(folder)
    heeded = [number for number in _FORWARDED if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forwarding) for number in heeded}
    try:
        yield forwarding
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _noted(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def is_rank() -> bool:
    """Whether this process was started as one of several, by torchrun or the like."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def leads() -> bool:
    """Whether this process is rank 0, or alone."""
    return not is_rank() or os.environ["RANK"] == "0"


def report() -> None:
    """Note this rank's process number for the launcher, where there is one; to be called once signals are handled."""
    folder = os.environ.get(_FOLDER)
    if folder and is_rank():
        with suppress(OSError):  # the launcher is gone
            replace_file(Path(folder) / f"rank-{int(os.environ['RANK']):06}", str(os.getpid()).encode())


def has_agent() -> bool:
    """Whether torchrun started this process, be it as the only one."""
    return "RANK" in os.environ and bool(os.environ.get("TORCHELASTIC_RUN_ID"))


def hand_over(exit_code: int) -> int:
    """The code that this rank exits with; the run's own goes to the launcher, where there is one.

    torchrun takes any code but 0 for a crash, of which it prints a page, and which it may answer by starting all ranks
    again. A run that came to its end, whatever its verdict, has not crashed: its code stands in `status.json`. Under
    other launchers, such as srun, rank 0 speaks for all.
    """
    fail_with(exit_code)
    return exit_code if leads() and not has_agent() else 0


def fail_with(exit_code: int) -> int:
    """The code of a rank that cannot go on, by which torchrun ends the others; the launcher has rank 0's."""
    folder = os.environ.get(_FOLDER)
    if folder and leads():
        with suppress(OSError):  # the launcher is gone
            replace_file(Path(folder) / _EXIT_CODE, str(exit_code).encode())
    return exit_code


def says(error: JepaError) -> bool:
    """Whether this process is to say what is wrong: recipe and data are so on every rank, a fault at work is not."""
    is_of_one_rank = getattr(error, "is_of_one_rank", False)
    return leads() or is_of_one_rank or not isinstance(error, RecipeError | DataError | PluginError)


def note_run(run: Path) -> None:
    """Note beside a run that this launch of torchrun began it, in case torchrun starts the ranks again."""
    pointer = _pointer(run.parent)
    if pointer is not None:
        replace_file(pointer, f"{run.name}\n{_agent()}".encode())


def forget_run(run: Path) -> None:
    """It came to its end."""
    pointer = _pointer(run.parent)
    if pointer is not None:
        pointer.unlink(missing_ok=True)


def restarted_run(runs_dir: Path) -> Path | None:
    """The run that ranks were training when torchrun started them again; None where this is their first start.

    Of a run that was rolled back it is the one that goes on in its place.
    """
    pointer = _pointer(runs_dir)
    if pointer is None:
        return None
    try:
        name, _, agent = pointer.read_text().partition("\n")
    except OSError:
        return None
    # A machine counts the crashes that it noticed itself: of several, some count none when all start again.
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0" and agent != _agent():
        return None
    run = runs_dir / Path(name).name
    passed = {run}
    while child := _child_of(run):
        run = runs_dir / Path(child).name
        if run in passed:
            return None
        passed.add(run)
    return run if is_run(run) else None


def _child_of(run: Path) -> str:
    """Name of the run that goes on in its place; empty where there is none. All ranks find the same, on any machine: it
    is not asked who still lives."""
    from jepa_core.run_directory.children import child_beside
    from jepa_core.run_directory.status import read_status

    status = read_status(run)
    if status is not None and status.state == "rolled_back":
        return status.child
    child = child_beside(run)
    return "" if child is None else child.name


def _agent() -> str:
    """This machine's torchrun, which outlives the ranks that it starts."""
    return f"{socket.gethostname()} {os.getppid()}"


def _pointer(runs_dir: Path) -> Path | None:
    """torchrun's name for this launch is drawn for it where it is not given."""
    if not has_agent():
        return None
    launch_id = os.environ["TORCHELASTIC_RUN_ID"]
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in launch_id)[:100]
    return runs_dir / f".torchrun-{safe}"


def require_shares(batch_size: int, num_ranks: int) -> None:
    """Refuse a batch that ranks cannot share.

    Raises:
        RecipeError: it is no multiple of their number.
    """
    rest = batch_size % num_ranks
    if rest:
        lower, upper = batch_size - rest, batch_size - rest + num_ranks
        options = f"{lower} or {upper}" if lower else str(upper)
        raise RecipeError(
            f"train.batch_size is {batch_size}, of all ranks together, and {num_ranks} ranks cannot have equal shares "
            f"of it. Use --set train.batch_size={options}, or another number of ranks."
        )
