"""`jepa rollback`: take a run back to a healthy checkpoint, and go on from there with a change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, Token

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, NoPlugins, Overrides, PluginFiles
from jepa_core.errors import RecipeError, RunDirectoryError
from jepa_core.presentation.shown_training import train_and_show
from jepa_core.run_directory.layout import RECIPE
from jepa_core.run_directory.naming import LATEST, RUNS_DIR, beside, find_run
from jepa_core.visible_text import escaped, visible

if TYPE_CHECKING:
    from jepa_core.rollback.plan import RollbackPlan


def _step(_type: object, tokens: Sequence[Token]) -> int:
    """A whole number, where the command line's own conversion would round one that is not.

    Raises:
        RecipeError: it is none.
    """
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise RecipeError(
            f"--to {text} is no step, which is a whole number: 0 begins anew, more goes back to the newest checkpoint "
            "up to it."
        ) from None


def rollback(
    run: str = LATEST,
    /,
    *,
    scenario: Annotated[str, Parameter(show_default=False)] = "",
    to: Annotated[int | None, Parameter(show_default=False, converter=_step)] = None,
    overrides: Overrides = (),
    use: Annotated[str, Parameter(show_default=False)] = "",
    dry_run: Flag = False,
    auto_rollback: Flag = False,
    json: Flag = False,
    device: Device = "auto",
    runs_dir: Path = RUNS_DIR,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
) -> int:
    """Take a run back to its last healthy checkpoint, and go on from there with a change, as a run of its own.

    For example: jepa rollback latest --to 0 --set optimizer.lr=1e-4 --dry-run

    The run itself stays as it was, marked as rolled back. One that is training now is asked for it: it acts at its next
    step, and its own process goes on with the child.

    Exit codes: those of jepa run; 0 after --dry-run and after a request to a run that trains.

    Parameters
    ----------
    run
        A run directory, the start of a run's name or the time in it, or latest; the newest run when not given.
    scenario
        The rule that fired: a rollback rule, an abort or a scenario. When not given, the last rollback rule that fired,
        else what stopped the run.
    to
        Go back to the newest checkpoint up to this step, instead of the newest before the first sign of what fired; 0
        begins anew. With --set or --use it needs nothing that fired.
    overrides
        KEY=VALUE, such as train.clip_norm=1.0, on top of what the rule changes; may be repeated.
    use
        Take this recipe whole, instead of the rule's change; data and seed stay the run's.
    dry_run
        Only show what would be done.
    auto_rollback
        Let rollback rules that fire later take the child back too, as jepa run does.
    json
        Print the plan as JSON.
    runs_dir
        The folder with the run directories; the child is made beside its parent.

    Raises
    ------
    JepaError
        Nothing has fired, no change is known, or the change makes no recipe.
    """
    from jepa_core.engine.run_state import try_child
    from jepa_core.presentation.rollback_table import rollback_table
    from jepa_core.presentation.terminal import console_for
    from jepa_core.registry import chosen_plugins
    from jepa_core.rollback.change import changes_of
    from jepa_core.rollback.planning import plan_rollback
    from jepa_core.rollback.successor import refuse_rolled_back
    from jepa_core.run_directory.recorded_files import check_same_files
    from jepa_core.run_directory.settled import is_scripted, settled

    parent = find_run(run, runs_dir)
    refuse_rolled_back(parent, marks=not dry_run)
    changes = changes_of(overrides)
    registry = chosen_plugins(plugin, no_plugin)
    check_same_files(parent, registry.files)
    # A demo's run shows what a rollback would be: it has no model that a change could fail to fit.
    made_up = settled(parent) if is_scripted(parent) else None
    tried = {} if made_up else {"try_child": try_child}
    rollback = plan_rollback(parent, registry, scenario=scenario, to=to, set=changes, use=use, **tried)
    console = console_for()
    if json:
        sys.stdout.write(escaped(rollback.plan.to_json().decode()) + "\n")
        sys.stdout.flush()
    else:
        console.print(rollback_table(parent.name, rollback.plan), soft_wrap=True)
    if dry_run:
        if not json and _is_training(parent):
            print(f"\n{visible(parent.name)} is training: without --dry-run its process is asked for this.")
        return 0
    if _is_training(parent):
        _request(parent, rollback.plan, to, quiet=json)
        return 0
    if made_up:
        raise RunDirectoryError(f"{visible(parent.name)} {made_up.why}. {made_up.remedy}")

    from jepa_core.recipes.reading import load_recipe
    from jepa_core.rollback.child import make_child

    child = make_child(rollback)
    if not json:
        console.print()
    return train_and_show(
        console_for(sys.stderr) if json else console,
        load_recipe(child.path / RECIPE, registry=registry),
        device=device,
        runs_dir=beside(parent),
        resume=child.path,
        registry=registry,
        auto_rollback=auto_rollback,
    ).exit_code


def _is_training(run: Path) -> bool:
    from jepa_core.run_directory.lock import is_locked

    return is_locked(run)


def _request(run: Path, plan: RollbackPlan, to: int | None, *, quiet: bool) -> None:
    """Ask the process that trains the run.

    Raises:
        RunDirectoryError: it has ended meanwhile.
    """
    from jepa_core.rollback.requests import RollbackRequest, withdraw, write_request

    request = RollbackRequest(scenario=plan.scenario, to=to, set=plan.set, use=plan.use)
    path = write_request(run, request)
    if not _is_training(run) and withdraw(path):
        raise RunDirectoryError(f"{visible(run.name)} was training, and has ended meanwhile. Type the same again.")
    if not quiet:
        print(
            f"\n{visible(run.name)} is training: its process goes back at its next step, and goes on with the child.\n"
            f"Its answer will stand beside the request: {visible(str(path.with_suffix('')))}.done.json or .refused.json"
        )
