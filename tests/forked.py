"""`jepa …` in a fork of this process, which has torch loaded: a second and a half sooner than a program of its own."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
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
        cwd: its working folder.
        site: a folder of packages that is first on the path, and looked through for plugins.
        environment: what is added to that of this process.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if not process:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _call(arguments, cwd, site, environment or {})
        _, status = os.waitpid(process, 0)
        said = [_read(file.fileno()) for file in (out, err)]
    return subprocess.CompletedProcess(["jepa", *arguments], os.waitstatus_to_exitcode(status), *said)


def _call(arguments: Sequence[str], cwd: Path, site: Path | None, environment: Mapping[str, str]) -> NoReturn:
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww")
        )
        os.chdir(cwd)
        os.environ.update(environment)
        tempfile.tempdir = None  # it may be another in this environment
        torch.set_num_threads(1)  # threads of the parent's are not here
        if site is not None:
            sys.path.insert(0, str(site))
        importlib.invalidate_caches()
        installed.cache_clear()
        main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        # What pytest set up in this process's parent is not to be torn down here.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()
