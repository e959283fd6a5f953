"""Exit codes that are not 0: what each means and what to do, in the words that the documentation has and a command ends
with, unless it ends with an error: then the error's own message says it."""

from __future__ import annotations

import signal
from collections.abc import Sequence

Meaning = tuple[str, str]
"""What a code means, and what to do."""

SIGNALS = {129: "a closed terminal (SIGHUP)", 130: "Ctrl-C (SIGINT)", 143: "SIGTERM"}
"""Code → what stopped a command."""

OF_ALL: dict[int, Meaning] = {
    1: ("the program failed", "What is said above names the cause and the remedy."),
    2: ("the command line or the recipe is at fault", "What is said above names the place and what to type instead."),
    **{code: (f"stopped by {what}", "Type the same command to begin again.") for code, what in SIGNALS.items()},
}
"""What a code means where its command has no meaning of its own for it."""

_STOPPED = "an abort rule or a value that is not finite stopped the run"
_MUST_FAILED = "the run finished, but a must did not hold or could not be judged"
TRAINING: dict[int, Meaning] = {
    3: (_STOPPED, "The verdict says by which; jepa autopsy, what led to it and what to type next."),
    4: (_MUST_FAILED, "The verdict says which, and what to type next."),
    **{
        code: (f"the run was stopped by {what}", "Where training had begun, what to go on with is said above.")
        for code, what in SIGNALS.items()
    },
}

OF_COMMANDS: dict[str, dict[int, Meaning]] = {
    "run": TRAINING,
    "rollback": TRAINING,
    "watch": {
        1: ("the run failed or died, is silent, or the time is up", "The last line says which; jepa autopsy says why."),
        **TRAINING,
        **{code: (TRAINING[code][0], "Go on with jepa run --resume RUN.") for code in SIGNALS},
    },
    "check": {
        1: ("what was recorded cannot be read, or not all of it", "What is said above names the file and what to do."),
        3: ("an abort rule or a critical scenario fires on these rows", "It is named above, with its figures."),
        4: ("a must does not hold on these rows, or could not be judged by them", "It is named above."),
    },
    "audit": {4: ("the audit has a critical finding", "It is named above, with what to change.")},
    "checkpoints": {1: ("a checkpoint does not verify", "What to do with it is said above.")},
    **{name: {130: (f"stopped by {SIGNALS[130]}", "Nothing was written.")} for name in ("embed", "export", "plot")},
    "ablate": {
        1: ("a run of the ablation failed", "It is named above; --retry-failed trains it again."),
        **{code: (f"stopped by {what}", "The same command goes on.") for code, what in SIGNALS.items()},
    },
    "plugins check": {1: ("a component breaks its contract", "The check that fails is named above.")},
    "recipe check": {2: ("a recipe is at fault", "What is wrong with it is said above.")},
}
"""Command → codes that have a meaning of their own there."""


def explained(arguments: Sequence[str], code: int) -> str:
    """Such as "Exit code 4: a must does not hold on these rows. It is named above, with its figures."

    Args:
        arguments: the command line; without any, what the code means of all commands.
        code: another than 0.
    """
    own = next((OF_COMMANDS[name] for name in (" ".join(arguments[:2]), *arguments[:1]) if name in OF_COMMANDS), {})
    what, remedy = own.get(code) or OF_ALL.get(code) or _unforeseen(code)
    return f"Exit code {code}: {what}. {remedy}"


def _unforeseen(code: int) -> Meaning:
    number = code - 128
    by = f"signal {signal.Signals(number).name}" if number in set(signal.Signals) else "its own word"
    return f"a process was ended by {by}", "What it said last stands above."
