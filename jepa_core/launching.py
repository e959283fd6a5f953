"""Starting one run as several processes: `jepa run --gpus 2` is torchrun, PyTorch's own launcher, with two additions.

A stop reaches the run once, as a request to save and stop: torchrun by itself would kill ranks that need more than 30
seconds for it. And the exit code is the run's own, where torchrun knows only 0 and failure. Both go through a folder of
the launcher's, in which ranks note their process numbers and rank 0 the run's exit code.

Knows nothing of what ranks do. Loads no torch.
"""

from __future__ import annotations

import os
import signal
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
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_STOPS = (signal.SIGINT, signal.SIGTERM)


def launch(num_ranks: int, arguments: Sequence[str], *, module: str = "jepa_core") -> int:
    """Run `python -m MODULE ARGUMENTS` on each of some ranks of this machine; the run's exit code."""
    with tempfile.TemporaryDirectory(prefix="jepa-ranks-") as folder:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_ranks)]
        environment = {**os.environ, _FOLDER: folder}
        # torchrun sets this to 1 and warns of it where it is not set.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // num_ranks)))
        # In a session of its own: what a terminal sends reaches this process alone.
        process = subprocess.Popen([*torchrun, "-m", module, *arguments], env=environment, start_new_session=True)
        with _forwarding(process, Path(folder)):
            failed = process.wait()
        code = _noted(Path(folder) / _EXIT_CODE)
        return code if code is not None else (128 - failed if failed < 0 else failed)


@contextmanager
def _forwarding(process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """While entered, signals go to rank 0, whose word is every rank's; a second stop ends all at once."""
    stops: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if number in _STOPS:
            stops.append(number)
        ranks = [pid for file in sorted(folder.glob("rank-*")) if (pid := _noted(file)) is not None]
        if len(stops) > 1:
            for pid in ranks:
                _send(pid, signal.SIGKILL)
            _send(process.pid, signal.SIGTERM)
        elif ranks:
            _send(ranks[0], number)
        else:
            _send(process.pid, signal.SIGTERM if number in _STOPS else number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
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


def hand_over(exit_code: int) -> int:
    """The code that this rank exits with; the run's own goes to the launcher, where there is one.

    torchrun takes any code but 0 for a crash, of which it prints a page, and which it may answer by starting all ranks
    again. A run that came to its end, whatever its verdict, has not crashed: its code stands in `status.json`.
    """
    if not is_rank():
        return exit_code
    fail_with(exit_code)
    return 0


def fail_with(exit_code: int) -> int:
    """The code of a rank that cannot go on, by which torchrun ends the others; the launcher has rank 0's."""
    folder = os.environ.get(_FOLDER)
    if folder and leads():
        with suppress(OSError):  # the launcher is gone
            replace_file(Path(folder) / _EXIT_CODE, str(exit_code).encode())
    return exit_code


def says(error: JepaError) -> bool:
    """Whether this process is to say what is wrong: recipe and data are so on every rank."""
    return leads() or not isinstance(error, RecipeError | DataError | PluginError)


def note_run(run: Path) -> None:
    """Note beside a run that this launch of torchrun began it, in case torchrun starts the ranks again."""
    pointer = _pointer(run.parent)
    if pointer is not None:
        replace_file(pointer, run.name.encode())


def forget_run(run: Path) -> None:
    """It came to its end."""
    pointer = _pointer(run.parent)
    if pointer is not None:
        pointer.unlink(missing_ok=True)


def restarted_run(runs_dir: Path) -> Path | None:
    """The run that ranks were training when torchrun started them again; None where this is their first start."""
    pointer = _pointer(runs_dir)
    if pointer is None or os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return None
    try:
        name = pointer.read_text()
    except OSError:
        return None
    run = runs_dir / Path(name).name
    return run if is_run(run) else None


def _pointer(runs_dir: Path) -> Path | None:
    """torchrun's name for this launch is drawn for it where it is not given."""
    launch_id = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if not launch_id or not is_rank():
        return None
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
