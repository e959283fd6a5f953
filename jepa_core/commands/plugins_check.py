"""`jepa plugins check`: the conformance kit over a component, a distribution, or a plugin that is not installed."""

from __future__ import annotations

from jepa_core.commands.flag import Flag


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
    from jepa_core.conformance.checking import check_component
    from jepa_core.conformance.subjects import find_components
    from jepa_core.presentation.conformance_table import conformance_table
    from jepa_core.presentation.terminal import console_for

    checked = []
    for component in find_components(target, family):
        results = check_component(component)
        checked.append((component, results))
        if not json:
            console_for().print(conformance_table(component, results))
    if json:
        _write_json(
            [
                {"family": c.family, "name": c.name, "from": c.distribution, "checks": [r.as_data() for r in results]}
                for c, results in checked
            ]
        )
    return int(any(result.failed for _, results in checked for result in results))


def _write_json(data: object) -> None:
    from jepa_core.json_text import print_json

    print_json(data)
