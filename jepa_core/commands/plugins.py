"""`jepa plugins`: which components are installed, where they come from, and what their fields mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts import App

from jepa_core.commands.flag import Flag
from jepa_core.commands.options import NoPlugins, PluginFiles

if TYPE_CHECKING:
    from jepa_core.registry import Registry

app = App(name="plugins", help="List, show, check and begin components.")
# What is not imported for a list cannot say there what it is.
app.command(
    "jepa_core.commands.plugins_new:new",
    name="new",
    help="Write a distribution of your own with one component that already works, its tests, and a recipe to try it."
    "\n\nFor example: jepa plugins new jepa-my-loss --family loss --name my_loss",
)
app.command(
    "jepa_core.commands.plugins_check:check",
    name="check",
    help="Check that components keep their family's contract: one line a check, a failure with its smallest example."
    "\n\nFor example: jepa plugins check attention",
)


@app.default
@app.command(name="list")
def list_plugins(
    *, broken: Flag = False, plugin: PluginFiles = (), no_plugin: NoPlugins = (), json: Flag = False
) -> None:
    """List every component by family, with the distribution it comes from, and plugins that are not right.

    For example: jepa plugins list --broken

    Parameters
    ----------
    broken
        Only plugins that could not be loaded, claim a component of another, are slow or blocked: cause and remedy.
    json
        Print a JSON object with components, and plugins that are broken, contested, slow or blocked.

    Raises
    ------
    PluginError
        Nothing is installed at all.
    """
    from jepa_core.presentation.component_tables import components_table
    from jepa_core.presentation.terminal import console_for
    from jepa_core.registry import listed_plugins

    registry = listed_plugins(plugin, no_plugin)
    shown = [] if broken else [component for family in _families() for component in registry.family(family).values()]
    if json:
        components = [
            {"family": c.family, "name": c.name, "what": c.summary, "from": c.distribution, "version": c.version}
            for c in shown
        ]
        _write_json({"components": components, **_remarks_as_json(registry)})
    elif shown or registry.remarks:
        console_for().print(components_table(shown, registry.remarks))
    else:
        console_for().print("Every plugin could be loaded.")


@app.command
def show(
    name: str,
    /,
    *,
    family: str | None = None,
    plugin: PluginFiles = (),
    no_plugin: NoPlugins = (),
    json: Flag = False,
) -> None:
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
    from jepa_core.recipes.component_search import describe, find_components
    from jepa_core.registry import listed_plugins

    components = find_components(listed_plugins(plugin, no_plugin), name, family)
    if json:
        _write_json([describe(component) for component in components])
    else:
        for component in components:
            console_for().print(component_view(component))


def _families() -> tuple[str, ...]:
    from jepa_core.hookspecs import FAMILIES

    return tuple(FAMILIES)


def _remarks_as_json(registry: Registry) -> dict[str, Any]:
    import attrs

    kinds = ("broken", "contested", "slow", "blocked")
    return {
        kind: [
            {**attrs.asdict(remark), "cause": remark.cause, "remedy": remark.remedy}
            for remark in getattr(registry, kind)
        ]
        for kind in kinds
    }


def _write_json(data: Any) -> None:
    from jepa_core.json_text import print_json

    print_json(data)
