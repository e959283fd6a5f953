"""All commands that read a run directory, and calling them as the shell does."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from jepa_core.cli import main
from jepa_core.registry import installed

RUN, RUNS, OTHER, NEW = "RUN", "RUNS", "OTHER", "NEW"
"""Stand for the run, for the folder that it lies in, for a whole run, and for a file that is to be made."""

Ways = dict[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Command → ways to call it."""

READING: Ways = {
    ("monitor",): ((RUN, "--once"), (RUN, "--once", "--json"), (RUNS, "--once")),
    ("watch",): ((RUN, "--timeout", "0"), (RUN, "--timeout", "0", "--json")),
    ("runs",): (("--runs-dir", RUNS), ("--runs-dir", RUNS, "--json")),
    ("check",): ((RUN,), (RUN, "--json"), (f"{RUN}/metrics.jsonl", "--rules", f"{OTHER}/recipe.toml")),
    ("verdict",): ((RUN,), (RUN, "--json")),
    ("compare",): ((RUN, OTHER), (RUN, OTHER, "--json")),
    ("checkpoints",): ((RUN,), (RUN, "--json"), (RUN, "prune", "--keep", "2", "--dry-run")),
    ("autopsy",): ((RUN,), (RUN, "--json")),
    ("rollback",): (
        (RUN, "--dry-run"), (RUN, "--dry-run", "--json"), (RUN, "--to", "3", "--set", "optimizer.lr=1e-4", "--dry-run"),
    ),
    ("recipe", "show"): ((f"{RUN}/recipe.toml",),),
    ("recipe", "check"): ((f"{RUN}/recipe.toml",),),
    ("recipe", "diff"): ((f"{RUN}/recipe.toml", f"{OTHER}/recipe.toml"),),
}  # fmt: skip
"""Those that load no torch, or a light part of it."""

LOADING: Ways = {
    ("run",): (("--resume", RUN, "--no-audit"),),
    ("audit",): ((f"{RUN}/recipe.toml",),),
    ("eval",): ((RUN,), (RUN, "--json")),
    ("embed",): ((RUN, "-o", f"{NEW}.npz", "--force"),),
    ("export",): ((RUN, "-o", f"{NEW}.pt2", "--force"),),
    ("plot",): ((RUN, "-o", f"{NEW}.svg", "--force"),),
}
"""Those that go on with a model, or look at one."""

NOT_READING = {
    ("plugins",), ("plugins", "list"), ("plugins", "show"), ("plugins", "check"), ("plugins", "new"), ("recipe",),
    ("recipe", "list"), ("recipe", "new"), ("recipe", "schema"), ("demo",), ("bench",), ("ablate",),
    ("completion",),
}  # fmt: skip
"""Those that read no run; an ablation's folder has a test of its own."""

SECONDS = 60
"""After which a command counts as hanging."""


@attrs.frozen(kw_only=True)
class Ended:
    """What became of a command."""

    code: int
    out: str
    error: str

    @property
    def said(self) -> str:
        return self.out + self.error


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class Hangs(BaseException):
    """A command took too long. Nothing catches it."""


def filled_in(arguments: Sequence[str], run: Path, other: Path, new: Path) -> list[str]:
    """Arguments with paths for their stand-ins."""
    paths = ((RUNS, run.parent), (RUN, run), (OTHER, other), (NEW, new))
    return [_filled_in(argument, paths) for argument in arguments]


def _filled_in(argument: str, paths: Sequence[tuple[str, Path]]) -> str:
    """Its stand-in is in front; a path may have any of these words in it."""
    for word, path in paths:
        if argument == word or argument.startswith((f"{word}/", f"{word}.")):
            return f"{path}{argument.removeprefix(word)}"
    return argument


def called(arguments: Sequence[str], *, terminal: bool = False, columns: int | None = None) -> Ended:
    """What `jepa ARGUMENTS` says and exits with; an exception that it does not handle is the caller's.

    Args:
        arguments: of the command line.
        terminal: its output goes to a terminal, not to a pipe.
        columns: the terminal's width.
    """
    installed.cache_clear()
    made = Terminal if terminal else io.StringIO
    out, error = made(), made()
    with pytest.MonkeyPatch.context() as patched, _patience(arguments):
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", error)
        patched.setenv("TERM", "xterm-256color" if terminal else "dumb")
        if columns is not None:
            patched.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return Ended(code=code, out=out.getvalue(), error=error.getvalue())


@contextmanager
def _patience(arguments: Sequence[str]) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise Hangs(f"jepa {' '.join(arguments)} does not end")

    handlers = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT, signal.SIGUSR1)}
    hook, before = sys.excepthook, dict(os.environ)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.excepthook = hook
        os.environ.clear()
        os.environ.update(before)
