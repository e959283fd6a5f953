"""Distributions installed by pip into a folder of their own, offline, and commands that see them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

JEPA = ("-c", "from jepa_core.cli import main; main()")


def pip_install(source: Path, site: Path) -> None:
    """Build and install the distribution at `source` into the folder `site`, without anything else."""
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    done = run_python(site, source, *command, "--no-index", "--target", str(site), str(source))
    assert done.returncode == 0, done.stderr


def run_python(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, in a process that sees what is installed in `site`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run_jepa(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`jepa …` in such a process."""
    return run_python(site, cwd, *JEPA, *arguments)
