"""Where and with what a run is made: what environment.json says beside devices and data."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


def describe_environment(command_line: Sequence[str], **more: Any) -> dict[str, Any]:
    """Versions, host and commit; `more` is added, such as devices and data_fingerprint."""
    return {
        "command_line": list(command_line),
        "working_directory": str(Path.cwd()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu_count": os.cpu_count(),
        "commit": _commit(),
        "packages": _packages(),
        **more,
    }


def _packages() -> dict[str, str]:
    found = {distribution.metadata["Name"] or "": distribution.version for distribution in distributions()}
    return dict(sorted((name, version) for name, version in found.items() if name))


def _commit() -> str:
    """The commit of the working directory, with "+changes" where tracked files differ; empty outside a checkout."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return ""
    return f"{head}+changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
