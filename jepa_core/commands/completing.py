"""What may stand next on a command line: the answers that the scripts of `jepa completion` ask for at every TAB.

Commands, flags and fixed choices are the command line's own; here is what only the place knows: recipes, runs, keys of
recipes, plugins. Nothing that takes long is loaded: components are those of the recipes' schema and of plugins' source.

An answer is lines: a value, or value, tab and what it is. Lines that begin with U+001F tell more: `begin` forgets what
came before, `prefix` with a tab and what stands before each value, `files` that paths will do, too, `files` with two
tabs what stands before a path, and how its name ends.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.visible_text import clean, visible

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.completion import CompletionContext

REQUEST = "__complete"
"""The command that the scripts call, with the words up to the cursor, the one that is being typed last."""

LINE = "--line"
"""Instead of the words: the line up to the cursor, from a shell that splits words at = and : too."""

_WORDS = "CYCLOPTS_COMPLETION_WORDS"
_UNIT = "\x1f"

Candidates = Iterable[tuple[str, str]]
"""What may stand there, and a few words on it."""

Place = tuple[str, str]
"""That a path will do: what stands before it in the word, and how its name ends."""


def answer(request: Sequence[str], commands: Iterable[tuple[str, str]], program: Callable[[str], App]) -> None:
    """Print what may stand next.

    Args:
        request: words, or `LINE` and a line.
        commands: name and summary of each command.
        program: the command line, of which the command that is named is the one called.
    """
    words = _words_of(request[1]) if len(request) == 2 and request[0] == LINE else list(request)
    if len(words) < 2:
        _print([*commands, ("--help", ""), ("--version", "")])
        return
    from cyclopts import Parameter

    places: list[Place] = []
    app = program(words[0])
    app.default_parameter = Parameter(completer=partial(_candidates, places))
    os.environ[_WORDS] = "".join(f"{word}{_UNIT}" for word in words)
    app([REQUEST])
    flag, equals, _ = words[-1].partition("=")
    flag = f"{flag}=" if equals and flag.startswith("--") else ""
    print("".join(f"{_UNIT}files\t{flag}{before}\t{ending}\n" for before, ending in places), end="")


def _words_of(line: str) -> list[str]:
    """Those after the program's name; the last is empty where the cursor stands behind a space."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(f"{line}{closing}")
        except ValueError:  # a quotation that is still open
            continue
        return [*words[1:], *([""] if not closing and line[-1:].isspace() else [])]
    return []


def _print(candidates: Candidates) -> None:
    print("".join(f"{value}\t{about}\n" for value, about in candidates), end="")


def _candidates(places: list[Place], context: CompletionContext) -> list[tuple[str, str]]:
    """For the argument under the cursor; where a path will do, `places` gets what stands before it."""
    argument = context.argument
    if argument.name in _FILES:
        places.append(("", _FILES[argument.name]))
    find = SOURCES.get(argument.name)
    if find is None or argument.hint in (Path, tuple[Path, ...]):
        return []
    # What cannot be typed as it stands is no help, and would steer the terminal.
    return [
        (value, clean(about, 80)) for value, about in find(context, places) if value == visible(value) and value.strip()
    ]


def _recipes(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.recipes.layers import recipe_names, shipped_recipes
    from jepa_core.recipes.recipe_path import OWN

    names = dict.fromkeys((*recipe_names(OWN), *recipe_names(shipped_recipes())))
    return [(name, "") for name in names if context.incomplete or not name.startswith(".")]


def _runs(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.commands.completing_runs import runs_called

    return runs_called(context.incomplete, _runs_dir(context))


def _tags(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.commands.completing_runs import tags_of_runs

    return tags_of_runs(_runs_dir(context))


def _steps(*words: str) -> Callable[[CompletionContext, list[Place]], Candidates]:
    """Words that may stand there, and the steps of the run's checkpoints."""

    def steps(context: CompletionContext, _places: list[Place]) -> Candidates:
        from jepa_core.commands.completing_runs import checkpoints_of

        return [*((word, "") for word in words), *checkpoints_of(_run(context), _runs_dir(context))]

    return steps


def _fired(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.commands.completing_runs import fired_in

    return fired_in(_run(context), _runs_dir(context))


def _metrics(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.commands.completing_runs import metrics_of

    return metrics_of(_run(context), _runs_dir(context))


def _run(context: CompletionContext) -> str:
    """The run that the line names, or the first of several."""
    from jepa_core.run_directory.naming import LATEST

    runs = context.get("RUN") or context.get("RUNS")
    return runs.raw_tokens[0] if runs is not None and runs.raw_tokens else LATEST


def _runs_dir(context: CompletionContext) -> Path:
    from jepa_core.home import at_home
    from jepa_core.run_directory.naming import RUNS_DIR

    given = context.get("--runs-dir")
    return RUNS_DIR if given is None or given.raw is None else Path(at_home(given.raw))


def _fields(context: CompletionContext, places: list[Place]) -> Candidates:
    """Keys of a recipe up to the next dot, or values of one."""
    from jepa_core.commands.completing_fields import keys_below, values_of

    key, equals, value = context.incomplete.partition("=")
    kinds = _kinds(context)
    if not equals:
        return keys_below(key.rpartition(".")[0], kinds, _local_plugins(context))
    before = value.rpartition(",")[0] + "," if context.argument.name == "--vary" and "," in value else ""
    if key.rpartition(".")[2] == "path":
        places.append((f"{key}={before}", ""))
    return [(f"{key}={before}{each}", about) for each, about in values_of(key, kinds, _local_plugins(context))]


def _kinds(context: CompletionContext) -> dict[str, str]:
    """Table → the kind that the recipe on the line gives it, or a flag before this one; of what can be read."""
    from jepa_core.errors import JepaError
    from jepa_core.recipes.layers import read_file_layers
    from jepa_core.recipes.layout import COMPONENT_TABLES
    from jepa_core.recipes.recipe_path import find_recipe

    kinds = {}
    recipe = context.get("RECIPE")
    try:
        layers = read_file_layers(find_recipe(recipe.raw)) if recipe and recipe.raw else []
    except JepaError:
        layers = []
    for layer in layers:
        for table in COMPONENT_TABLES:
            content = layer.table.get(table)
            if isinstance(content, dict) and isinstance(content.get("kind"), str):
                kinds[table] = content["kind"]
    flags = context.get("--set")
    for flag in flags.raw_tokens if flags else ():
        table, is_kind, kind = flag.partition(".kind=")
        if is_kind and table in COMPONENT_TABLES:
            kinds[table] = kind
    return kinds


def _local_plugins(context: CompletionContext) -> tuple[str, ...]:
    """The files that `--plugin` names on the line, in full."""
    flags = context.get("--plugin")
    return tuple(os.path.expanduser(file) for file in flags.raw_tokens) if flags else ()  # noqa: PTH111  # as `at_home`


def _components(context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.commands.completing_fields import components

    return components(_local_plugins(context))


def _plugins(_context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.discovery.source import installed_plugins

    return [(plugin.distribution, plugin.name) for plugin in installed_plugins()]


def _families(_context: CompletionContext, _places: list[Place]) -> Candidates:
    from jepa_core.hookspecs import FAMILIES

    return [(family, "") for family in FAMILIES]


def _words(*words: str) -> Callable[[CompletionContext, list[Place]], Candidates]:
    return lambda _context, _places: [(word, "") for word in words]


_RECIPE_ARGUMENTS = ("RECIPE", "RECIPES", "LEFT", "RIGHT", "--recipe", "--from", "--use", "--rules")
_RUN_ARGUMENTS = ("RUN", "RUNS", "PATH", "--resume")

SOURCES: dict[str, Callable[[CompletionContext, list[Place]], Candidates]] = {
    **dict.fromkeys(_RECIPE_ARGUMENTS, _recipes),
    **dict.fromkeys(_RUN_ARGUMENTS, _runs),
    **dict.fromkeys(("--set", "--vary"), _fields),
    **dict.fromkeys(("NAME", "TARGET"), _components),
    "--no-plugin": _plugins,
    "--family": _families,
    "--device": _words("auto", "cpu", "cuda", "cuda:0"),
    "--step": _steps("best", "newest"),
    "--to": _steps("0"),
    "--scenario": _fired,
    "--tag": _tags,
    "--metric": _metrics,
    "--split": _words("train", "validation", "all"),
    "--array": _words("prediction", "state", "target"),
    "--arrays": _words("state", "prediction", "target", "tokens", "mask", "codes"),
    "--map": _words("pca", "umap"),
    "PARTS": _words("step", "run"),
}
"""An argument's name in the help → what may stand there. Paths and choices of the command line itself need no entry."""

_FILES = {
    **dict.fromkeys(_RECIPE_ARGUMENTS, ".toml"),
    **dict.fromkeys(_RUN_ARGUMENTS, "/"),
    "TARGET": ".py",
    "--runs-dir": "/",
}
"""Where a path will do, too, and how the file's name ends; / stands for folders alone."""
