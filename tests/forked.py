"""Programs in a fork of this process, which has torch loaded: a second and a half sooner than one of their own."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import torch

from jepa_core.cli import main
from jepa_core.registry import installed

SECONDS = 120
"""After which a command counts as hanging."""


def forked_jepa(
    *arguments: str, cwd: Path, site: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `jepa ARGUMENTS` says and exits with.

    Args:
        arguments: of the command line.
        cwd: its working folder.
        site: a folder of packages that is first on the path, and looked through for plugins.
        environment: what is added to that of this process.
    """

    def call() -> None:
        os.chdir(cwd)
        if site is not None:
            sys.path.insert(0, str(site))
        importlib.invalidate_caches()
        installed.cache_clear()
        main(arguments)

    return _forked(call, environment or {})


def forked_script(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What `python PATH ARGUMENTS` says and exits with."""

    def run() -> None:
        sys.argv = [str(path), *map(str, arguments)]
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")

    return _forked(run, {})


def _forked(call: Callable[[], None], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if not process:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _end_with(call, environment)
        _, status = os.waitpid(process, 0)
        said = [_read(file.fileno()) for file in (out, err)]
    return subprocess.CompletedProcess([], os.waitstatus_to_exitcode(status), *said)


def _end_with(call: Callable[[], None], environment: Mapping[str, str]) -> NoReturn:
    code = 0
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww")
        )
        os.environ.update(environment)
        tempfile.tempdir = None  # it may be another in this environment
        # Threads of the parent's are not here, and a device that it uses is none that a fork can.
        torch.set_num_threads(1)
        torch.cuda.is_available = lambda: False
        call()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        # What pytest set up in this process's parent is not to be torn down here.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()
