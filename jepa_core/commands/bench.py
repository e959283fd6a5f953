"""`jepa bench`: how fast parts of a run are here, beside plain torch and beside what the device could do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import Device, NoPlugins, Overrides, PluginFiles
from jepa_core.errors import PluginError, RecipeError
from jepa_core.visible_text import visible_lines

if TYPE_CHECKING:
    from rich.console import Console

    from jepa_core.benchmarking.parts import Setting
    from jepa_core.benchmarking.results import Report


def bench(
    *parts: str,
    recipe: str = "quickstart",
    overrides: Overrides = (),
    device: Device = "auto",
    quick: Flag = False,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> int:
    """Time parts of a run on this computer, beside plain torch and beside what the device could do.

    For example: jepa bench step --recipe optimized --set train.batch_size=64

    A ratio is to the same work in plain torch, compiled or not, and of a step to one that is launched kernel by kernel:
    above 1 is faster. The floor is the least time that the work takes at the speed of matrix products and copies that
    the device reaches in the same run. Nothing is kept.

    Exit codes: 0 everything was timed, 1 something failed, 2 usage or recipe error.

    Parameters
    ----------
    parts
        What to time: step (a training step), run (a whole run), and what plugins offer, such as codebook, contrast,
        attention and tokeniser. Everything when not given.
    recipe
        A file, or the name of a recipe, for step and run. A loss whose weight is set to 0 is left out of the step.
    overrides
        KEY=VALUE for the recipe, such as train.batch_size=64; may be repeated.
    quick
        Small sizes, few repetitions, nothing compiled, and no whole run unless it is asked for: seconds on a CPU.
    json
        Print a JSON object; progress goes to the standard error.

    Raises
    ------
    JepaError
        There is no such part, or a recipe, a flag, a plugin, the device or the run is at fault.
    """
    import torch

    from jepa_core.registry import chosen_plugins

    registry = chosen_plugins(plugin, no_plugin)

    from jepa_core.benchmarking.parts import OWN_PARTS, Setting, chosen_parts
    from jepa_core.engine.device import choose_compute
    from jepa_core.recipes.reading import load_recipe
    from jepa_core.recipes.recipe_path import find_recipe

    chosen, is_choice = chosen_parts(parts, registry, is_quick=quick), bool(parts)
    needs_recipe = not OWN_PARTS.keys().isdisjoint(chosen)
    if overrides and not needs_recipe:
        raise RecipeError(f"--set {overrides[0]}: {' and '.join(chosen)} take no recipe. Leave it out, or time step.")
    path = find_recipe(recipe) if needs_recipe else None
    loaded = load_recipe(path, overrides=overrides, registry=registry) if path else None
    compute = choose_compute(device, "auto")
    if compute.device.index:
        # Kernels and clocks of what is timed are those of the current device.
        torch.cuda.set_device(compute.device)
    flags = [*_repeated("--set", overrides), *_repeated("--plugin", plugin), *_repeated("--no-plugin", no_plugin)]

    from jepa_core.benchmarking.device_rates import measured_rates
    from jepa_core.benchmarking.whole_run import ended_by_terminate

    with ended_by_terminate(), _progress(json=json) as (console, tell):
        tell("what the device reaches in a matrix product and in a copy")
        setting = Setting(
            compute=compute,
            rates=measured_rates(compute.device, is_quick=quick),
            is_quick=quick,
            loaded=loaded,
            run_arguments=(str(path), "--device", str(compute.device), *flags),
            registry=registry,
            tell=tell,
        )
        report = _measured(chosen, setting, console, json=json)
    if json:
        from jepa_core.json_text import print_json

        print_json(report.as_json())
    elif quick and not is_choice:
        print("\nA whole run is left out by --quick. It is timed by: jepa bench run")
    return int(report.has_failure)


def _measured(chosen: Sequence[str], setting: Setting, console: Console, *, json: bool) -> Report:
    """Everything chosen; each result is shown as soon as it is there, unless all is wanted as JSON."""
    from jepa_core.benchmarking.device_rates import machine
    from jepa_core.benchmarking.parts import available_parts, results_of
    from jepa_core.benchmarking.results import Report
    from jepa_core.benchmarking.table import head_lines, part_lines, result_lines

    def show(lines: Iterable[str]) -> None:
        for line in () if json else lines:
            console.print(line, soft_wrap=True)

    found, results = machine(setting.compute.device), []
    errors: list[str] = []
    show(head_lines(found, setting.rates))
    for part in chosen:
        show(part_lines(part, available_parts(setting.registry)[part]))
        try:
            for result in results_of(part, setting):
                results.append(result)
                show(result_lines(result))
        except PluginError as error:
            # What the others have taken is not lost for it.
            errors.append(str(error))
            print(f"\n{visible_lines(str(error))}", file=sys.stderr)
    return Report(
        machine=found, rates=setting.rates, is_quick=setting.is_quick, results=tuple(results), errors=tuple(errors)
    )


@contextmanager
def _progress(*, json: bool) -> Iterator[tuple[Console, Callable[[str], None]]]:
    """Shows on a terminal what is being measured; yields a console for results, and a function that sets that line."""
    from rich.text import Text

    from jepa_core.presentation.terminal import console_for
    from jepa_core.visible_text import clean

    console = results = console_for()
    if json or not console.is_terminal:
        console = console_for(sys.stderr)
    if not console.is_terminal:
        yield results, lambda _: None
        return
    with console.status("") as status:
        yield results, lambda doing: status.update(Text(clean(doing), overflow="ellipsis", no_wrap=True))


def _repeated(flag: str, values: Iterable[object]) -> list[str]:
    return [word for value in values for word in (flag, str(value))]
