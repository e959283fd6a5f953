"""The command `jepa`: names of commands, and what happens to their errors. A command is imported when it is called."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper, UnsupportedOperation
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from jepa_core import __version__
from jepa_core.disk_errors import remedy
from jepa_core.errors import JepaError
from jepa_core.exit_codes import explained
from jepa_core.home import argument_at_home
from jepa_core.visible_text import clean, visible_lines

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

COMMANDS = {
    "run": ("jepa_core.commands.run:run", "Train from a recipe, and end with a verdict."),
    "audit": ("jepa_core.commands.audit:audit", "See what cannot matter, before training."),
    "monitor": ("jepa_monitor.command:monitor", "Watch runs in a dashboard, from their files alone."),
    "watch": ("jepa_monitor.watch_command:watch", "Wait for a run, and exit with its code."),
    "rollback": ("jepa_core.commands.rollback:rollback", "Go back to a healthy checkpoint, with a change."),
    "check": ("jepa_core.commands.check:check", "Put a run's recorded figures before the rules again."),
    "verdict": ("jepa_core.commands.verdict:verdict", "Show a run's verdict again."),
    "checkpoints": ("jepa_core.commands.checkpoints:checkpoints", "Check a run's checkpoints; delete old ones."),
    "autopsy": ("jepa_core.commands.autopsy:autopsy", "See what a run died of, and what to do."),
    "runs": ("jepa_core.commands.runs:runs", "List runs."),
    "eval": ("jepa_core.commands.evaluate:evaluate", "Evaluate a checkpoint, on any data."),
    "embed": ("jepa_core.commands.embed:embed", "Write a model's embeddings of data to a file."),
    "export": ("jepa_core.commands.export:export", "Write a model's encoder to a file of its own."),
    "plot": ("jepa_core.commands.plot:plot", "Draw a model's embeddings: a map and nearest neighbours."),
    "compare": ("jepa_core.commands.compare:compare", "Compare runs: is a gain real?"),
    "ablate": ("jepa_core.commands.ablate:ablate", "Vary a recipe's values over seeds: what does each do?"),
    "bench": ("jepa_core.commands.bench:bench", "Time parts of a run on this computer."),
    "recipe": ("jepa_core.commands.recipe:app", "List, begin, show, check and compare recipes."),
    "plugins": ("jepa_core.commands.plugins:app", "List, show, check and begin components."),
    "completion": ("jepa_core.commands.completion:completion", "Let TAB complete commands, recipes and runs."),
    "demo": ("jepa_monitor.demo.command:demo", "Watch a scripted run go wrong and be mended."),
}
"""Name → where it is, and its line in the list of commands."""

_ANSWERED_AT_ONCE: tuple[list[str], ...] = ([], ["--help"], ["-h"], ["--version"])
_ASKED_AT_TAB = "__complete"
"""What the scripts of `jepa completion` call; no command of a person's."""

_TRAINING = frozenset({"run", "rollback", "ablate"})
"""Commands whose work is in files, whatever is printed of it."""

_FAILED, _USAGE = 1, 2
"""Exit codes, of a program that fails and of arguments that are at fault."""

_WHAT_IT_IS = "Train joint-embedding predictive models, and know whether a run is any good."
_FIRST_STEPS = "First steps: jepa run quickstart, and jepa demo"

_EXAMPLE = re.compile(r"^ *For example: (jepa .+)$", re.MULTILINE)
"""In the docstring of a command."""


def overview() -> str:
    """What `jepa --help` prints, without the libraries that the help of a command takes, which load for long."""
    width = max(map(len, COMMANDS)) + 2
    commands = [f"  {name:<{width}}{summary}" for name, (_, summary) in COMMANDS.items()]
    flags = [f"  {'--help':<{width}}Show this, or the help of a command: jepa run --help"]
    flags += [f"  {'--version':<{width}}Show the version"]
    lines = ["Usage: jepa COMMAND", "", _WHAT_IT_IS, "", "Commands", *commands, "", "Flags", *flags, "", _FIRST_STEPS]
    return "\n".join(lines)


def program(called: str = "") -> App:
    """The command line. The help of a command is its docstring; only in the list, which imports none of them, a line
    of ours stands for it, so the one that is called has none."""
    from cyclopts import App

    app = App(
        name="jepa",
        help=_WHAT_IT_IS,
        help_epilogue=None if called else _FIRST_STEPS,
        version=__version__,
        version_flags=["--version"],
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        print_error=False,
        exit_on_error=False,
    )
    for name, (command, summary) in COMMANDS.items():
        app.command(command, name=name, help=None if name == called else summary)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the command's code."""
    _open_closed_streams()
    _outlive_readers()
    typed = sys.argv[1:] if arguments is None else arguments
    if next(iter(typed), "") == "run":
        # It asks a run to save, and would end the process while there is nothing to save: before anything is imported
        # that takes long, since a batch system may send it at any time.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    sys.excepthook = _uncaught
    _write_what_is_read()
    prepare_torch()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    if next(iter(typed), "") == "run" and "RANK" not in os.environ:  # of several ranks the launcher says it
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _ended)
    sys.exit(_exit_code(typed))


def _open_closed_streams() -> None:
    """A standard stream that was closed by who called (`>&-`) is one whose output nobody takes: /dev/null stands in its
    place, for what this process starts too, so that no file that is opened later gets its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, descriptor == number)
            stream = os.fdopen(descriptor, mode, encoding="utf-8", errors="backslashreplace")
            for known_as in (name, f"__{name}__"):
                setattr(sys, known_as, stream)


class _Outliving(FileIO):
    """A standard stream that ends nothing. Once its reader has left, as `head` does, or its disk is full, it is as
    /dev/null."""

    stands_for: TextIOWrapper
    """Kept: with its end its descriptor would be closed."""
    lost: OSError | None = None
    """Why some of it could not be written; None while all was, or where that has been reported."""
    when_lost: Callable[[OSError], OSError | None] = staticmethod(lambda error: error)

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                self.lost = self.when_lost(error)
            return len(content)


def _outlive_readers() -> None:
    """What nobody reads any more is dropped: every command then ends with the code that it has anyway, in silence. What
    cannot be written is dropped, too, and said. A terminal has no reader that leaves without a signal."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(UnsupportedOperation):  # it is in memory
            if isinstance(stream, TextIOWrapper) and not stream.isatty() and stream.fileno() in (1, 2):
                stream.flush()
                raw = _Outliving(stream.fileno(), "wb", closefd=False)
                raw.stands_for = stream
                outliving = TextIOWrapper(
                    cast("BinaryIO", raw) if stream.write_through else BufferedWriter(raw),
                    encoding=stream.encoding,
                    errors=stream.errors,
                    line_buffering=stream.line_buffering,
                    write_through=stream.write_through,
                )
                setattr(sys, name, outliving)


def _write_what_is_read() -> None:
    """Write ASCII to a terminal that does not read UTF-8, though Python takes every locale that it does not know for
    UTF-8. A name that the encoding lacks ends no command; the standard error does so by itself."""
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, TextIOWrapper):
            continue
        if not _is_utf8(_locale_name()) and stream.isatty() and stream.encoding == "utf-8":
            stream.reconfigure(encoding="ascii", errors="backslashreplace")
        if stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _locale_name() -> str:
    """What the environment says of the terminal's characters, without the LC_CTYPE that Python sets in place of C."""
    names = ("LC_ALL", "LANG") if sys.flags.utf8_mode else ("LC_ALL", "LC_CTYPE", "LANG")
    return next((value for name in names if (value := os.environ.get(name))), "")


def _is_utf8(locale: str) -> bool:
    """One that names no encoding may be it, and so may no name at all, as in a container."""
    encoding = locale.partition(".")[2].partition("@")[0]
    return encoding.lower() in ("utf-8", "utf8") if encoding else locale not in ("C", "POSIX")


def _interrupted(_number: int, frame: FrameType | None) -> None:
    """Ctrl-C where nothing else handles it. An exception within an import is swallowed by some, and torch cannot be
    imported twice: so there the process ends at once, with nothing to clean up."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, f"{explained((), 130)}\n".encode())
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


def _ended(number: int, _frame: FrameType | None) -> None:
    """SIGTERM or SIGHUP while a run has not begun: say so, and die of it. A terminal that is gone reads nothing."""
    with suppress(OSError):
        os.write(2, f"{explained((), 128 + number)}\n".encode())
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The traceback of a fault of ours or of a plugin's; its message and the names of files may be anybody's."""
    import traceback

    print(visible_lines("".join(traceback.format_exception(kind, error, trace)).rstrip("\n")), file=sys.stderr)
    whose, remedy = "the program itself", "please tell its author"
    with suppress(Exception):  # of what is broken already nothing more is asked
        from jepa_core.discovery.blame import plugin_at_fault
        from jepa_core.discovery.source import own_source_of, place_in

        plugin = plugin_at_fault(error)
        own = own_source_of(plugin)
        whose = f"the plugin {clean(plugin, 300)}" if plugin else whose
        remedy = f"correct {clean(place_in(own, error) or str(own), 300)}" if own else remedy
    print(f"Exit code {_FAILED}: a fault of {whose}: {remedy}.", file=sys.stderr)


def prepare_torch() -> None:
    """Set the environment variables that torch reads when it is imported, where the user has not set them.

    Let its threads on a CPU rest while they wait: GNU OpenMP lets them spin. Where a core is not ours alone that costs
    more than it gives: a third of the time beside one busy process, nothing without. And let several ranks not warn,
    one by one, that they look for weights without a gradient, and found none in the first step.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if "RANK" in os.environ:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _exit_code(arguments: Sequence[str]) -> int:
    """What the process exits with; one that is not 0 has been explained.

    What a command was to print and could not is a failure of it, but of one that trains: what that comes to stands in
    files, so it goes on, says so at once, and keeps its code.
    """
    out = _outliving_output()
    if out and next(iter(arguments), "") in _TRAINING:
        out.when_lost = lambda error: _say(
            f"The output cannot be written: {error.strerror}. {remedy(error)}. The training goes on, "
            "and its files have it all."
        )
    try:
        return _code_of(arguments) or _written_out()
    except OSError as error:
        if error.filename is not None:  # some file of which nobody here knows
            raise
        # The output, or what a plugin writes. Keep Python from complaining again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _say(f"Exit code {_FAILED}: the output cannot be written: {error.strerror}. {remedy(error)}.")
        return _FAILED


def _outliving_output() -> _Outliving | None:
    raw = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer) if isinstance(sys.stdout, TextIOWrapper) else None
    return raw if isinstance(raw, _Outliving) else None


def _written_out() -> int:
    """0 once all output is written; an OSError where some of it was lost. A command's own code explains nothing then:
    what it stands for was to be read there."""
    sys.stdout.flush()
    out = _outliving_output()
    if out and out.lost:
        raise out.lost
    return 0


def _say(words: str) -> None:
    """On the standard error, unless the terminal behind it is gone: that changes no exit code."""
    try:
        print(words, file=sys.stderr)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _code_of(arguments: Sequence[str]) -> int:
    if list(arguments) in _ANSWERED_AT_ONCE:
        print(__version__ if "--version" in arguments else overview())
        return 0
    called = next(iter(arguments), "")
    if called == _ASKED_AT_TAB:
        from jepa_core.commands.completing import answer

        answer(arguments[1:], [(name, summary) for name, (_, summary) in COMMANDS.items()], program)
        return 0
    from cyclopts import CycloptsError

    meant = list(arguments)
    try:
        meant = [argument_at_home(argument) for argument in arguments]
        result = program(called)(meant)
        _written_out()
        code = result if isinstance(result, int) else 0
    except JepaError as error:
        from jepa_core.launching import fail_with, says

        # Of several ranks that are at fault alike, one says so.
        if says(error):
            print(_shown(visible_lines(_as_typed(str(error), arguments, meant))), file=sys.stderr)
        return fail_with(error.exit_code)
    except CycloptsError as error:
        print(visible_lines(_usage(error)), file=sys.stderr)
        return _USAGE
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SystemExit as stop:
        # A signal has come before there was anything to save.
        if not isinstance(stop.code, int):
            raise
        code, arguments = stop.code, ()
    except OSError as error:
        # Some checks of whether such a file exists find out only here that it cannot.
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"{clean(str(error.filename))}: this is too long for a file's name.", file=sys.stderr)
        return _USAGE
    if code:
        sys.stdout.flush()
        _say(explained(arguments, code))
    return code


def _as_typed(message: str, typed: Sequence[str], meant: Sequence[str]) -> str:
    """What is wrong, with what was typed for each path in it that was typed with a ~."""
    first, line_end, rest = message.partition("\n")
    for argument, whole in zip(typed, meant, strict=True):
        if argument != whole and whole.partition("=")[2 if whole.startswith("--") else 0] in message:
            first += f" It was typed as {argument}."
    return f"{first}{line_end}{rest}"


def _shown(message: str) -> str:
    if not sys.stderr.isatty():
        return message
    from jepa_core.presentation.error_text import error_text
    from jepa_core.presentation.terminal import console_for

    return error_text(message, console_for(sys.stderr).width)


def _usage(error: CycloptsError) -> str:
    """What is wrong with the arguments, and what to type instead."""
    from cyclopts import MissingArgumentError, UnusedCliTokensError

    command = " ".join(["jepa", *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError):
        said = f"{command} has no place for {shlex.join(error.unused_tokens or ())}."
    elif isinstance(error, MissingArgumentError) and error.argument is not None:
        said = _missing(error.argument.name, error.keyword)
    else:
        said = _of_field(str(error), command)
    example = _EXAMPLE.search((error.target and error.target.__doc__) or "")
    return f"{said}\n" + (f"For example: {example[1]}" if example else f"What there is: {command} --help")


def _of_field(said: str, command: str) -> str:
    """What is said of an unknown flag; of one that is called as a field of a recipe how that is set."""
    unknown = re.match(r"Unknown option: --([\w-]+)", said)
    if unknown is None or command not in ("jepa run", "jepa rollback", "jepa audit"):
        return said
    from jepa_core.commands.completing_fields import keys_below

    tables = [key.removesuffix(".") for key, _ in keys_below("", {}) if key.endswith(".")]
    name = f".{unknown[1].replace('-', '_')}="
    fields = [key for table in tables for key, _ in keys_below(table, {}) if key.endswith(name)]
    return (
        f"--{unknown[1]} is no flag. A recipe's values are set so: --set {'… or --set '.join(fields)}…"
        if fields
        else said
    )


def _missing(name: str, typed: str | None) -> str:
    """What has to be given, where it is not there (`typed` is None) or has no value."""
    said = f"{name} is missing" if typed is None else f"{typed} has no value"
    return f"{said}: where to write, as -o FILE." if name == "--output" else f"{said}."


if __name__ == "__main__":
    main()
