"""Components by name, for those who ask about one; and all about it as plain data."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.discovery.remarks import BlockedPlugin, BrokenPlugin, ContestedComponent, PluginRemark
from jepa_core.errors import RecipeError
from jepa_core.hookspecs import FAMILIES
from jepa_core.recipes.faults import did_you_mean
from jepa_core.recipes.field_descriptions import describe_fields
from jepa_core.registry import Component, Registry
from jepa_core.visible_text import clean

_ABOUT: dict[type[PluginRemark], str] = {
    BrokenPlugin: "could not be loaded and may offer it",
    BlockedPlugin: "is blocked and may offer it",
    ContestedComponent: "offers it, as others do",
}


def find_components(registry: Registry, name: str, family: str | None = None) -> tuple[Component, ...]:
    """The components of a name, in all families or one.

    Raises:
        RecipeError: there is none, or no such family; the text names what is near, and broken plugins.
    """
    if family is not None and family not in FAMILIES:
        hint = did_you_mean(family, FAMILIES)
        raise RecipeError(f"No family {clean(family)}.{hint}\nFamilies: {', '.join(FAMILIES)}")
    searched = [component for component in registry.components.values() if family in {None, component.family}]
    found = tuple(component for component in searched if component.name == name)
    if found:
        return found
    hint = did_you_mean(name, [component.name for component in searched])
    families = [family] if family else FAMILIES
    remarks = {remark: None for each in families for remark in registry.reasons(each, name)}
    broken = "".join(
        f"\n{clean(remark.distribution)} {_ABOUT[type(remark)]}: jepa plugins list --broken" for remark in remarks
    )
    raise RecipeError(f"No {family or 'component'} named {clean(name)}.{hint}\nAll: jepa plugins{broken}")


def describe(component: Component) -> dict[str, Any]:
    """Everything about a component as plain data."""
    return {
        "family": component.family,
        "name": component.name,
        "what": component.summary,
        "from": component.distribution,
        "version": component.version,
        "fields": [attrs.asdict(field) for field in describe_fields(component.config_class)],
        "metrics": [attrs.asdict(metric) for metric in component.config_class.metrics],
    }
