"""`jepa plugins check`: the conformance kit over a component, a distribution, or a plugin that is not installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jepa_core.commands.flag import Flag

if TYPE_CHECKING:
    from jepa_core.conformance.check import CheckResult
    from jepa_core.registry import Component


def check(target: str, /, *, family: str | None = None, json: Flag = False) -> int:
    """Check that components keep their family's contract: one line a check, a failure with its smallest example.

    For example: jepa plugins check attention

    Parameters
    ----------
    target
        A component's name, a distribution's name, or the path of a plugin's module file or project folder, which is
        imported.
    family
        Only components of this family.
    json
        Print a JSON array with one object a component.

    Raises
    ------
    RecipeError
        There is no such component.
    PluginError
        The plugin cannot be loaded.
    """
    from jepa_core.conformance.subjects import find_components

    components = find_components(target, family)
    checked = [(component, _checked(component, json=json)) for component in components]
    if json:
        _write_json(
            [
                {"family": c.family, "name": c.name, "from": c.distribution, "checks": [r.as_data() for r in results]}
                for c, results in checked
            ]
        )
    return int(any(result.failed for _, results in checked for result in results))


def _checked(component: Component, *, json: bool) -> tuple[CheckResult, ...]:
    """The results, each shown as soon as it is known, and meanwhile what is being checked."""
    from jepa_core.conformance.catalogue import checks_of
    from jepa_core.conformance.checking import results_of
    from jepa_core.presentation.at_work import at_work
    from jepa_core.presentation.conformance_table import ConformanceLines
    from jepa_core.presentation.terminal import console_for
    from jepa_core.visible_text import clean

    console = console_for()
    # One console where both are seen: what moves below the lines would else be written over them.
    aside = console if console.is_terminal and not json else console_for(sys.stderr)
    of = clean(f"{component.family} {component.name}")
    names = [check.name for check in checks_of(component.family)]
    with at_work(aside, of) as work:
        coming = results_of(component, tell=lambda check: work.say(f"{of} · {check}"))
        if json:
            return tuple(coming)
        shown = ConformanceLines(component, names)
        console.print(shown.head())
        for result in coming:
            console.print(shown.line(result))
    console.print(shown.tally())
    return tuple(shown.results)


def _write_json(data: object) -> None:
    from jepa_core.json_text import print_json

    print_json(data)
