"""The parts that `jepa bench` times: the engine's step, a whole run, and every plugin's benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from jepa_core.benchmarking.results import Rates, Result
from jepa_core.benchmarking.training_step import measured_step
from jepa_core.benchmarking.ways import measured
from jepa_core.benchmarking.whole_run import measured_run
from jepa_core.contracts import BenchmarkCase
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.device import Compute, choose_compute, numerics_kept, set_numerics
from jepa_core.engine.seeds import seed_generators
from jepa_core.errors import PluginError, RecipeError
from jepa_core.facts import BenchmarkFacts
from jepa_core.recipes.faults import did_you_mean
from jepa_core.recipes.reading import LoadedRecipe
from jepa_core.registry import Component, Registry
from jepa_core.visible_text import clean

STEP, RUN = "step", "run"

OWN_PARTS = {
    STEP: "A training step: launched, on CUDA replayed, compiled",
    RUN: "A whole run in a process of its own, from its start to its verdict",
}
"""Name → what is timed, of those that take a recipe."""


def available_parts(registry: Registry) -> dict[str, str]:
    """Name → what is timed."""
    return OWN_PARTS | {name: component.summary for name, component in registry.benchmarks.items()}


def chosen_parts(asked: Sequence[str], registry: Registry, *, is_quick: bool) -> list[str]:
    """The parts asked for, each once; all when none is, but under --quick no whole run.

    Raises:
        RecipeError: there is no such part.
    """
    available = available_parts(registry)
    for name in asked:
        if name not in available:
            parts = "\n".join(f"  {part:12}{what}" for part, what in available.items())
            hint = did_you_mean(name, available)
            raise RecipeError(f"There is no part {clean(name)!r} to time.{hint} Parts:\n{parts}")
    return list(dict.fromkeys(asked)) or [name for name in available if not (is_quick and name == RUN)]


@attrs.frozen(kw_only=True)
class Setting:
    """Where, with what and how parts are timed."""

    compute: Compute
    rates: Rates
    is_quick: bool
    loaded: LoadedRecipe | None
    """For parts that take a recipe."""
    run_arguments: tuple[str, ...]
    """Of `jepa run` for the same recipe on the same device."""
    registry: Registry
    tell: Callable[[str], None] = lambda _: None
    """Called with the name of each thing that is measured, before it is."""


def results_of(part: str, setting: Setting) -> Iterator[Result]:
    """Everything that is measured of a part, one size after another.

    Raises:
        JepaError: the recipe's data, the run or the benchmark is at fault.
    """
    if part == STEP:
        return iter([_of_step(setting)])
    if part == RUN:
        assert setting.loaded is not None
        called = " ".join([setting.loaded.recipe.name, *setting.loaded.overrides])
        return iter([measured_run(setting.run_arguments, called, RUN, tell=setting.tell)])
    return _of_plugin(setting.registry.benchmarks[part], setting)


def _of_step(setting: Setting) -> Result:
    assert setting.loaded is not None
    recipe = setting.loaded.recipe
    compute = choose_compute(str(setting.compute.device), recipe.train.precision)
    setting.tell(f"{STEP} · {recipe.name} · its data")
    with numerics_kept():
        set_numerics(deterministic=recipe.train.deterministic, tf32=recipe.train.tf32)
        dataset = built_dataset(recipe)
        return measured_step(recipe, dataset, compute, setting.rates, is_quick=setting.is_quick, tell=setting.tell)


def _of_plugin(component: Component, setting: Setting) -> Iterator[Result]:
    """Every case of a benchmark; what a case holds is let go before the next is made."""
    device = setting.compute.device
    setting.tell(f"{component.name} · making what it works on")
    seed_generators(0)
    cases = _cases(component, BenchmarkFacts(device=str(device), is_quick=setting.is_quick))
    while (case := next(cases, None)) is not None:
        result = measured(component.name, case, setting.rates, device, is_quick=setting.is_quick, tell=setting.tell)
        del case
        yield result


def _cases(component: Component, facts: BenchmarkFacts) -> Iterator[BenchmarkCase]:
    """
    Raises:
        PluginError: the plugin's code raised something.
    """
    try:
        for case in component.config_class().build(facts):
            if not isinstance(case, BenchmarkCase):
                raise TypeError(f"it gives {_short(case)}, and each of its cases is to be a BenchmarkCase")
            yield case
    except Exception as error:
        raise PluginError(
            f"The benchmark {component.name} of {component.origin} cannot be built: {type(error).__name__}: "
            f"{clean(str(error))}\n"
            f"Time the others by their names, or leave it out: --no-plugin {component.distribution}"
        ) from error


def _short(value: object) -> str:
    told = clean(repr(value))
    return told if len(told) <= 60 else f"{told[:60]}…"
