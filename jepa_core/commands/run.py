"""`jepa run`: train from a recipe, and end with a verdict."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Parameter

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, NoPlugins, Overrides, PluginFiles, Tags
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.launching import (
    forget_run,
    hand_over,
    has_agent,
    is_rank,
    launch,
    leads,
    report,
    require_shares,
    restarted_run,
)
from jepa_core.presentation.shown_training import audit_command, run_command, train_and_show
from jepa_core.rollback.successor import refuse_marked
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import RUNS_DIR, find_run, typed_name
from jepa_core.run_directory.recorded_files import plugin_flags, typed_flags
from jepa_core.run_directory.room import require_room
from jepa_core.run_directory.settled import settled
from jepa_core.run_directory.tags import checked_tags
from jepa_core.shell_words import typed_path
from jepa_core.visible_text import visible_lines

MOVED = "data.path"
"""What a run that is resumed may be told anew: the data there has to be what it began with."""


def run(
    recipe: Annotated[str, Parameter(show_default=False)] = "",
    /,
    *,
    overrides: Overrides = (),
    resume: Annotated[str, Parameter(show_default=False)] = "",
    runs_dir: Path = RUNS_DIR,
    device: Device = "auto",
    auto_rollback: Flag = False,
    no_audit: Flag = False,
    gpus: int = 1,
    processes: int = 1,
    tag: Tags = (),
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> int:
    """Train from a recipe, and end with a verdict.

    For example: jepa run quickstart --set train.epochs=10

    On two GPUs of this machine: jepa run optimized --gpus 2

    Exit codes: 0 finished and every must held, 1 the program failed, 2 usage or recipe error, 3 stopped by an
    abort rule or a non-finite value, 4 finished but a must failed or could not be judged, 129, 130 or 143 interrupted
    (by a closed terminal, Ctrl-C or SIGTERM; a checkpoint is written where training had begun).

    Parameters
    ----------
    recipe
        A file, or the name of a recipe (see jepa recipe list). Not given with --resume.
    overrides
        KEY=VALUE, such as train.epochs=3; may be repeated.
    resume
        Continue this run, a directory, the start of its name or the time in it, or latest, from its newest checkpoint
        and with its own recipe. Where its data lies elsewhere now: --set data.path=FILE.
    runs_dir
        The folder in which the run directory is made.
    auto_rollback
        When a rollback rule fires, go back to the last healthy checkpoint and go on with the rule's change, as a run of
        its own; at most watch.max_rollbacks times. Without it the rule is only flagged.
    no_audit
        Begin at once, without the brief look at recipe and data that is taken before training.
    gpus
        GPUs of this machine that share each batch, a process each. Over several machines: torchrun -m jepa_core run.
    processes
        The same with processes on the CPU, to try a run of several ranks where there are no GPUs.
    tag
        A word by which jepa runs --tag finds the run again; may be repeated.
    """
    num_ranks = _num_ranks(gpus, processes, device)
    plugins = typed_flags(plugin, no_plugin)
    path = restarted_run(runs_dir) or _run_to_resume(recipe, overrides, resume, runs_dir, plugins)
    tags = checked_tags(tag)
    if path and tags and resume:
        raise RecipeError(f"--tag {tags[0]}: a run that is resumed keeps the tags that it began with.")
    if path:
        refuse_marked(path)
    ended = settled(path) if path else None
    if path and ended:
        if leads():
            print(visible_lines(f"{path.name} {ended.why}. {ended.remedy}"))
        return hand_over(ended.exit_code)
    if not path:
        require_room(runs_dir)

    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipes.reading import load_recipe, with_scenarios
    from jepa_core.recipes.recipe_path import find_recipe
    from jepa_core.run_directory.recorded_files import check_same_files

    if path:
        check_same_files(path, registry.files)
    console = console_for()
    source = path / RECIPE if path else find_recipe(recipe)
    flags = [*plugins, *([f"--device {device}"] if device != "auto" else [])]
    loaded = load_recipe(source, overrides=() if path and not resume else overrides, registry=registry)
    if num_ranks > 1:
        require_shares(loaded.recipe.train.batch_size, num_ranks)
        return launch(num_ranks, ["run", *_for_ranks(sys.argv[2:], device, on_cpu=processes > 1)])
    report()

    from jepa_core.engine.starting import NotBegunError

    try:
        conclusion = train_and_show(
            console,
            loaded if path else attrs.evolve(with_scenarios(loaded, registry), tags=tags),
            device=device,
            runs_dir=runs_dir,
            resume=path,
            registry=registry,
            audit_command="" if no_audit else audit_command(recipe, overrides, plugins),
            run_command=partial(run_command, recipe, overrides, flags),
            auto_rollback=auto_rollback,
        )
    except NotBegunError as error:
        if leads():
            print(visible_lines(str(error)), file=sys.stderr)
        return hand_over(error.exit_code)
    forget_run(conclusion.path)
    return hand_over(conclusion.exit_code)


def _num_ranks(gpus: int, processes: int, device: str) -> int:
    """How many processes share the batches.

    Raises:
        RecipeError: there cannot be so many, or not by these flags together.
    """
    for flag, number in (("--gpus", gpus), ("--processes", processes)):
        if number < 1:
            raise RecipeError(f"{flag} {number}: one process at least trains.")
        if number > 1 and (is_rank() or has_agent()):
            raise RecipeError(f"{flag} {number}: torchrun has started the ranks already. Leave the flag out.")
    if gpus > 1 and processes > 1:
        raise RecipeError(f"--gpus {gpus} and --processes {processes} both say how many processes train. Give one.")
    if gpus > 1 and device not in {"auto", "cuda"}:
        raise RecipeError(f"--gpus {gpus} and --device {device}: each takes a GPU of its own. Give one of them.")
    if processes > 1 and device not in {"auto", "cpu"}:
        raise RecipeError(f"--processes {processes} are on the CPU, and --device is {device}. Use --gpus {processes}.")
    if gpus > 1:
        import torch

        if gpus > torch.cuda.device_count():
            raise RecipeError(
                f"--gpus {gpus}: torch sees {torch.cuda.device_count()} here. Use fewer, or --processes {gpus}, which "
                "train on the CPU."
            )
    return max(gpus, processes)


def _for_ranks(typed: Sequence[str], device: str, *, on_cpu: bool) -> list[str]:
    """The arguments of each rank: those typed, without how many there are, and with their device."""
    kept, rest = [], iter(typed)
    for word in rest:
        if word in {"--gpus", "--processes"}:
            next(rest, None)
        elif not word.startswith(("--gpus=", "--processes=")):
            kept.append(word)
    return [*kept, *(["--device", "cpu" if on_cpu else "cuda"] if device == "auto" else [])]


def _run_to_resume(
    recipe: str, overrides: tuple[str, ...], resume: str, runs_dir: Path, plugins: Sequence[str]
) -> Path | None:
    """The directory of `--resume`.

    Raises:
        RecipeError: the arguments do not say what to run.
    """
    if not resume:
        if not recipe:
            raise RecipeError("Which recipe? For example: jepa run quickstart")
        return None
    others = [text for text in overrides if text.partition("=")[0].strip() != MOVED]
    if recipe or others:
        settings = [f"--set {shlex.quote(text)}" for text in others] or ["--set KEY=VALUE"]
        typed, anew, needed = shlex.quote(resume), "RECIPE", ""
        with suppress(RunDirectoryError):
            found = find_run(resume, runs_dir)
            typed, anew, needed = typed_name(found), typed_path(found / RECIPE), plugin_flags(found)
        flags = " ".join([*settings, *plugins]) + ("" if plugins else needed)
        raise RecipeError(
            f"--resume {resume} continues a run with its own recipe, so no recipe can be given with it, and no --set "
            f"but {MOVED}, where its data lies elsewhere now.\n"
            f"To go on from one of its checkpoints with a change: jepa rollback {typed} --to STEP {flags}\n"
            f"To begin anew with it: jepa run {typed_path(recipe) if recipe else anew} {flags}"
        )
    return find_run(resume, runs_dir)
