"""Where and with what a run is made: what environment.json says beside devices and data."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from jepa_core.discovery.source import name_and_version
from jepa_core.run_directory.commit import commit_of


def describe_environment(command_line: Sequence[str], **more: Any) -> dict[str, Any]:
    """Versions, host and commit; `more` is added, such as devices and data_fingerprint."""
    return {
        "command_line": list(command_line),
        "working_directory": str(Path.cwd()),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu_count": os.cpu_count(),
        "commit": commit_of(Path.cwd()),
        "packages": _packages(),
        **more,
    }


def _packages() -> dict[str, str]:
    found = dict(name_and_version(distribution) for distribution in distributions())
    return dict(sorted((name, version) for name, version in found.items() if name))
