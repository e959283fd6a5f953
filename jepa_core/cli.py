"""The command `jepa`: names of commands, and what happens to their errors. A command is imported when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App

from jepa_core import __version__
from jepa_core.errors import JepaError

app = App(
    name="jepa",
    help="Train joint-embedding predictive models, and know whether a run is any good.",
    help_epilogue="First steps: jepa run recipes/quickstart.toml",
    version=__version__,
    version_flags=["--version"],
    result_action="return_value",
)
app.command("jepa_core.commands.run:run", help="Train from a recipe, and end with a verdict.")
app.command("jepa_core.commands.audit:audit", help="See what cannot matter, before training.")
app.command("jepa_core.commands.evaluate:evaluate", name="eval", help="Evaluate a checkpoint, on any data.")
app.command("jepa_core.commands.runs:runs", help="List runs.")
app.command("jepa_core.commands.verdict:verdict", help="Show a run's verdict again.")
app.command("jepa_core.commands.compare:compare", help="Compare runs: is a gain real?")
app.command("jepa_core.commands.check:check", help="Put a run's recorded figures before the rules again.")
app.command("jepa_monitor.command:monitor", help="Show the state of a run, from its files alone.")
app.command("jepa_core.commands.recipe:app", name="recipe", help="Show, check and compare recipes.")
app.command("jepa_core.commands.plugins:app", name="plugins", help="List components and their fields.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the command's code."""
    sys.exit(_exit_code(sys.argv[1:] if arguments is None else arguments))


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        result = app(arguments)
    except JepaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; keep Python from complaining again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
