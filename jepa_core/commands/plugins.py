"""`jepa plugins`: which components are installed, where they come from, and what their fields mean."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

app = App(name="plugins", help="List components and their fields.")

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


@app.default
@app.command(name="list")
def list_plugins(*, broken: Flag = False, json: Flag = False) -> None:
    """List every component by family, with the distribution it comes from, and plugins that could not be loaded.

    For example: jepa plugins list --broken

    Parameters
    ----------
    broken
        Only plugins that could not be loaded, with cause and remedy.
    json
        Print a JSON object with components and broken plugins.

    Raises
    ------
    PluginError
        Nothing is installed at all.
    """
    import attrs

    from jepa_core.presentation.component_tables import components_table
    from jepa_core.presentation.terminal import console_for
    from jepa_core.registry import installed

    registry = installed()
    shown = [] if broken else [component for family in _families() for component in registry.family(family).values()]
    if json:
        components = [
            {"family": c.family, "name": c.name, "what": c.summary, "from": c.distribution, "version": c.version}
            for c in shown
        ]
        _write_json({"components": components, "broken": [attrs.asdict(plugin) for plugin in registry.broken]})
    elif shown or registry.broken:
        console_for().print(components_table(shown, registry.broken))
    else:
        console_for().print("Every plugin could be loaded.")


@app.command
def show(name: str, /, *, family: str | None = None, json: Flag = False) -> None:
    """Show a component's fields with defaults, units, ranges and meaning, and the metrics that it reports.

    For example: jepa plugins show attention

    Parameters
    ----------
    name
        The component's name, as in a recipe's `kind`.
    family
        Only this family, where several have a component of the name.
    json
        Print a JSON array with one object a component.

    Raises
    ------
    RecipeError
        There is no such component.
    """
    from jepa_core.presentation.component_tables import component_view
    from jepa_core.presentation.terminal import console_for
    from jepa_core.recipe.component_search import describe, find_components
    from jepa_core.registry import installed

    components = find_components(installed(), name, family)
    if json:
        _write_json([describe(component) for component in components])
    else:
        for component in components:
            console_for().print(component_view(component))


def _families() -> tuple[str, ...]:
    from jepa_core.hookspecs import FAMILIES

    return tuple(FAMILIES)


def _write_json(data: Any) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")
