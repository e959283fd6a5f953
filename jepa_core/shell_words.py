"""Names and values as they are typed in a shell: quoted, and never read as a flag or a home."""

from __future__ import annotations

import shlex
from pathlib import Path


def typed_flag(name: str, value: str) -> str:
    """A flag with its value; in one word where the value would be read as a flag itself."""
    return f"{name}={shlex.quote(value)}" if value.startswith("-") else f"{name} {shlex.quote(value)}"


_COMMENT = "  # "


def without_comment(text: str) -> tuple[str, str]:
    """A command, and the comment that stands behind it; what is quoted, such as the id of a rule, is none."""
    quote = ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif text.startswith(_COMMENT, index):
            return text[:index], text[index + len(_COMMENT) :]
    return text, ""


def with_comment(command: str, why: str) -> str:
    """The inverse."""
    return f"{command}{_COMMENT}{why}" if why else command


def typed_path(path: Path | str) -> str:
    """A path, or a name that stands for one."""
    typed = str(path)
    return shlex.quote(f"./{typed}" if typed.startswith(("-", "~")) else typed)
