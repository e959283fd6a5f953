"""Names and values as they are typed in a shell: quoted, and never read as a flag or a home."""

from __future__ import annotations

import shlex
from pathlib import Path


def typed_flag(name: str, value: str) -> str:
    """A flag with its value; in one word where the value would be read as a flag itself."""
    return f"{name}={shlex.quote(value)}" if value.startswith("-") else f"{name} {shlex.quote(value)}"


def typed_path(path: Path | str) -> str:
    """A path, or a name that stands for one."""
    typed = str(path)
    return shlex.quote(f"./{typed}" if typed.startswith(("-", "~")) else typed)
