"""Every table of a recipe and every component with its fields, from the classes that read them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from docs.reference_pages.markdown import code, table, text
from jepa_core.hookspecs import FAMILIES
from jepa_core.metrics import Metric
from jepa_core.recipes.engine_tables import ENGINE_TABLES
from jepa_core.recipes.field_descriptions import FieldDescription, describe_fields
from jepa_core.recipes.layout import COMPONENT_TABLES, NAMED_TABLES, RULE_LISTS, UNTRAINED
from jepa_core.recipes.recipe_path import described_recipes
from jepa_core.recipes.structuring import GENERIC_FIELDS
from jepa_core.recipes.writing import value_to_toml
from jepa_core.registry import Component, Registry
from jepa_core.watch import rules

OWN_DISTRIBUTION = "jepa-core"

_INTRODUCTION = """# Recipes

A recipe is a TOML file. Unknown keys, wrong types and values out of range are refused with file, line and column, all
faults at once. `--set KEY=VALUE` overrides any field, as `--set train.epochs=3`. `jepa recipe show NAME` prints a
recipe with all its defaults, `jepa recipe check FILE` checks one, `jepa recipe diff A B` compares two.

This page is made from the classes that read recipes. Steps are optimizer steps.

## The top of the file

"""

_COMPONENTS = """# Components

What the package brings, family by family. A plugin's components stand beside these in `jepa plugins`, and
`jepa plugins show NAME` has the same tables on the command line. [Plugins](../plugins.md) says how to write one.
"""

_TABLE_OF = {table_.family: f"[{name}]" for name, table_ in COMPONENT_TABLES.items()} | {
    family: f"[{name}.NAME]" for name, family in NAMED_TABLES.items()
}
_WATCH_CLASSES = {
    "watch.baseline": rules.Baseline,
    "watch.early_stop": rules.EarlyStop,
    "watch.must": rules.Criterion,
    "watch.nice": rules.Criterion,
    "watch.abort": rules.Abort,
    "watch.rollback": rules.Rollback,
    "watch.scenario": rules.Scenario,
}


def built_in(registry: Registry, family: str) -> dict[str, Component]:
    """The components of a family that come with the package, by name."""
    return {n: c for n, c in registry.family(family).items() if c.distribution == OWN_DISTRIBUTION}


def fields_table(fields: Iterable[FieldDescription]) -> str:
    """One row a field: type, default, range, meaning."""
    return table(
        ("field", "type", "default", "range", "meaning"),
        (
            (code(field.key), _type(field), _default(field), text(field.range), text(_meaning(field)))
            for field in fields
        ),
    )


def metrics_table(metrics: Iterable[Metric]) -> str:
    """One row a metric: unit, which way is better, range, meaning."""
    return table(
        ("metric", "better", "unit", "range", "meaning"),
        (
            (
                code(metric.name),
                "" if metric.better == "neither" else metric.better,
                text(metric.unit),
                text(_range(metric)),
                text(metric.doc),
            )
            for metric in metrics
        ),
    )


def recipes_page() -> str:
    """The tables of a recipe that the engine owns, and how those of components are written."""
    parts = [_INTRODUCTION, _top()]
    for name, owner in ENGINE_TABLES.items():
        parts.append(f"## [{name}]\n\n{text(_first_line(owner))}\n\n{fields_table(describe_fields(owner))}")
        if name == "watch":
            parts += [_watch_section(path, each) for path, each in _WATCH_CLASSES.items()]
    parts.append(_component_tables())
    parts.append(_shipped())
    return "\n".join(parts)


def components_page(registry: Registry) -> str:
    """Every component of the package with its fields and metrics."""
    parts = [_COMPONENTS]
    for family in FAMILIES:
        components = built_in(registry, family)
        if family == "scenario":
            parts.append("## Scenarios\n\nThey have [a page of their own](scenarios.md).\n")
            continue
        parts.append(f"## {_title(family)}\n\n{_how(family, components)}")
        parts += [_component(component) for component in components.values()]
    return "\n".join(parts)


def nulls_page(registry: Registry) -> str:
    """Every null, what it takes, and the network's own."""
    rows = [
        (
            f"[{code(name)}](components.md#null-{name.replace('_', '-')})",
            text(_spaces(component)),
            text(summary(component)),
        )
        for name, component in built_in(registry, "null").items()
    ]
    rows.append((code(UNTRAINED), "all", "the run's own network, newly built from recipe and seed"))
    return NULLS_INTRODUCTION + table(("null", "takes", "what it does"), rows) + NULLS_END


NULLS_INTRODUCTION = """# Nulls

A null is a method that learns nothing, or fits a few weights in closed form on training data. At the start of a run
every null that fits the data ranks the validation targets that the model will rank. The one with the highest MRR is
the *strongest null*. It stands beside the model in every figure, and a run is a success only where its reciprocal
ranks are above the strongest null's beyond chance ([how that is decided](../outcomes.md)).

"""
NULLS_END = """
All that fit the data are on. `[nulls.NAME]` with `enabled = false` switches one off, and the verdict names it. A null
that fails is left out, and the verdict names that one, too. What each reaches stands in the first validation row, as
`val.retrieval.null.NAME.mrr` and `val.hard.null.NAME.mrr`. [A null of your own](../plugins.md#nulls) is a plugin.
"""


def _component(component: Component) -> str:
    anchor = f"{component.family}-{component.name}".replace("_", "-")
    fields = (*describe_fields(component.config_class), *_generic(component.family))
    parts = [f"### {code(component.name)} {{ #{anchor} }}\n", f"{text(summary(component))}.{_rest(component)}\n"]
    spaces = _spaces(component)
    if spaces:
        parts.append(f"{'Gives' if component.family == 'dataset' else 'Takes'} {text(spaces)}.\n")
    parts.append(fields_table(fields) if fields else "It has no fields.\n")
    if component.config_class.metrics:
        parts.append(metrics_table(component.config_class.metrics))
    return "\n".join(parts)


def summary(component: Component) -> str:
    """The first line of the configuration's docstring."""
    return component.summary


def _rest(component: Component) -> str:
    """What follows it."""
    doc = inspect.getdoc(component.config_class) or ""
    rest = doc.partition("\n")[2].strip()
    return f" {text(rest)}" if rest and not rest.startswith("Args:") else ""


def _spaces(component: Component) -> str:
    owner = component.config_class
    found = getattr(owner, "spaces", None) or getattr(owner, "space", None)
    if isinstance(found, property) or found is None:
        return "what its recipe and file say" if component.family == "dataset" else ""
    kinds = found if isinstance(found, tuple) else (found,)
    return ", ".join(kind.plural for kind in kinds) or "observations of any kind"


def _top() -> str:
    rows = [
        ("`extends`", "text", "another recipe's file, below this one's folder; what stands here overrides it"),
        ("`name`", "text", "runs are named so; the file's name when not given"),
        ("`description`", "text", "a few words about the recipe"),
    ]
    rows += [
        (code(f"[{name}]"), "table", f"{_family_link(t.family)}; {_when_absent(t.default_kind)}")
        for name, t in COMPONENT_TABLES.items()
    ]
    rows += [
        (code(f"[{name}.NAME]"), "tables", f"{_family_link(family)}, by name") for name, family in NAMED_TABLES.items()
    ]
    rows += [(f"[{code(f'[{name}]')}](#{name})", "table", text(_first_line(o))) for name, o in ENGINE_TABLES.items()]
    return table(("key", "is", "meaning"), rows)


def _family_link(family: str) -> str:
    return f"[{family}](components.md#{_title(family).lower()})"


def _when_absent(kind: str | None) -> str:
    return "has to be given" if kind is None else f"`{kind}` when not given"


def _component_tables() -> str:
    parts = ["## Tables of components\n", "`kind` names the component; all other fields are its own, and these:\n"]
    rows = []
    for family, owner in GENERIC_FIELDS.items():
        rows += [
            (
                code(_TABLE_OF[family]),
                code(field.key),
                _type(field),
                _default(field),
                text(field.range),
                text(field.meaning),
            )
            for field in describe_fields(owner)
        ]
    parts.append(table(("table", "field", "type", "default", "range", "meaning"), rows))
    parts.append(
        "A table by name is of the component of that name unless `kind` says otherwise. `augmentation.NAME = true` or "
        "`false` is short for a table that switches it on or off, and a number for one with this `share`.\n"
    )
    return "\n".join(parts)


def _shipped() -> str:
    rows = [(code(name), text(about)) for name, (_, about) in sorted(described_recipes().items())]
    return "## Recipes that come with the package\n\n" + table(("recipe", "what it is"), rows)


def _watch_section(path: str, owner: type[Any]) -> str:
    is_list = path.rpartition(".")[2] in RULE_LISTS
    shown = f"[[{path}]]" if is_list else f"[{path}]"
    note = " A child recipe's rule replaces its parent's of the same `id`." if is_list else ""
    return f"### {shown}\n\n{text(_first_line(owner))}{note}\n\n{fields_table(describe_fields(owner))}"


def _generic(family: str) -> tuple[FieldDescription, ...]:
    owner = GENERIC_FIELDS.get(family)
    return describe_fields(owner) if owner else ()


def _how(family: str, components: Mapping[str, Component]) -> str:
    named = ", ".join(f"[{code(name)}](#{family}-{name.replace('_', '-')})" for name in components)
    shown = code(_TABLE_OF[family])
    if family == "null":
        return f"Those that fit the data are on; {shown} changes one or switches it off. {named}\n"
    return f"In a recipe: {shown}. {named}\n"


def _title(family: str) -> str:
    return "Losses" if family == "loss" else f"{family.capitalize()}s"


def _default(field: FieldDescription) -> str:
    if field.required:
        return "**required**"
    if field.default is None:
        return "–"
    try:
        return code(value_to_toml(field.default))
    except (TypeError, ValueError):
        return code(json.dumps(field.default))


def _type(field: FieldDescription) -> str:
    """In words; where the range lists what there is, that says it."""
    kind, _, choices = field.type.partition(", one of ")
    if choices or not kind.startswith("one of "):
        return text(kind)
    return "a choice"


def _meaning(field: FieldDescription) -> str:
    return f"{field.meaning} ({field.unit})" if field.unit else field.meaning


def _range(metric: Metric) -> str:
    bounds = [("≥", metric.minimum), ("≤", metric.maximum)]
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _first_line(owner: type[Any]) -> str:
    return (inspect.getdoc(owner) or "").partition("\n")[0]
