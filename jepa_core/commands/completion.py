"""`jepa completion`: what TAB offers in bash, zsh and fish, installed or printed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.errors import JepaError, RecipeError
from jepa_core.plain_files import open_plain, plain_descriptor
from jepa_core.visible_text import clean, visible

Shell = Literal["bash", "zsh", "fish"]

_SCRIPTS: dict[Shell, str] = {"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish"}


def completion(
    shell: Annotated[Shell | None, Parameter(show_default=False)] = None,
    /,
    *,
    show: Annotated[Flag, Parameter(name="--print")] = False,
) -> None:
    """Install completion for your shell: TAB then offers commands, flags, recipes, runs, keys and values of --set.

    For example: jepa completion bash

    The script asks jepa at each TAB, so it need not be installed anew with a new version. It is written into your home,
    and for bash and zsh a line that reads it is added to the shell's own file, once.

    Parameters
    ----------
    shell
        That of the environment variable SHELL when not given.
    show
        Print the script instead, for a file of your own; nothing is written.

    Raises
    ------
    RecipeError
        There is no script for the shell, or the home is no whole path in one line.
    JepaError
        A file cannot be written.
    """
    shell = shell or _own_shell()
    script = (Path(__file__).parent / "completion_scripts" / _SCRIPTS[shell]).read_text(encoding="utf-8")
    if show:
        print(script, end="")
        return
    file, startup = _places(shell)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, os.O_TRUNC, script.encode())
        is_new = startup is not None and _add_line(
            startup, os.fsencode(f"[ -r {shlex.quote(str(file))} ] && . {shlex.quote(str(file))}")
        )
    except OSError as error:
        raise JepaError(
            f"{clean(str(error.filename or startup or file))} cannot be read and written: {error.strerror}.\n"
            f"The script alone: jepa completion {shell} --print"
        ) from error
    read_by = f", and a line in {visible(str(startup))} that reads it" if is_new else ""
    print(f"Wrote {visible(str(file))}{read_by}. A new shell has it; this one after: exec {shell}")


def _own_shell() -> Shell:
    """
    Raises:
        RecipeError: there is no script for it.
    """
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SCRIPTS:
        if name == shell:
            return shell
    said = f"SHELL is {clean(name)!r}" if name else "SHELL is not set"
    raise RecipeError(f"{said}: give the shell's name. For example: jepa completion bash")


def _places(shell: Shell) -> tuple[Path, Path | None]:
    """Where the script goes, and the file that each new shell reads, where the script is not found by itself.

    Raises:
        RecipeError: they are not below one whole path each, which a line of the startup file can name.
    """
    told = os.environ.get("HOME")
    home = Path.home() if told is None else Path(told)
    if not home.is_absolute():
        raise RecipeError(f"HOME is {clean(told or '')!r}: give it a whole path, which begins with /.")
    if shell == "fish":
        return _folder("XDG_CONFIG_HOME", home / ".config") / "fish" / "completions" / "jepa.fish", None
    script = _folder("XDG_DATA_HOME", home / ".local" / "share") / "jepa" / f"completion.{shell}"
    return script, home / ".bashrc" if shell == "bash" else _folder("ZDOTDIR", home) / ".zshrc"


def _folder(variable: str, otherwise: Path) -> Path:
    """What an environment variable says, where it says a whole path.

    Raises:
        RecipeError: there is a line break in it.
    """
    told = Path(os.environ.get(variable, ""))
    folder = told if told.is_absolute() else otherwise
    if "\n" in str(folder):
        named = variable if folder == told else "HOME"
        raise RecipeError(
            f"{named} leads to {clean(str(folder))!r}: a path with a line break cannot stand in a startup file. "
            "Give a folder without one."
        )
    return folder


def _add_line(startup: Path, line: bytes) -> bool:
    """Put a line at the end of a file, unless it is there; whether it was put. What else is there need be no text."""
    try:
        with open_plain(startup, follow_links=True) as file:
            content = file.read()
    except FileNotFoundError:
        content = b""
    if line in content.split(b"\n"):
        return False
    _write(startup, os.O_APPEND, (b"" if not content or content.endswith(b"\n") else b"\n") + line + b"\n")
    return True


def _write(path: Path, flag: int, content: bytes) -> None:
    """Into a plain file, or to where a link leads, as startup files that are kept elsewhere often are."""
    with os.fdopen(plain_descriptor(path, os.O_WRONLY | os.O_CREAT | flag, follow_links=True), "wb") as file:
        file.write(content)
