"""The settings that an audit moves: the numbers of components and of the engine's tables that shape training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from jepa_core.recipes.structuring import recipe_table
from jepa_core.recipes.tables import Recipe
from jepa_core.settings import Setting, setting_of
from jepa_core.watch.findings import Finding

SHARE = 0.2
COMPONENTS = ("encoder", "quantizer", "aggregator", "predictor")
ENGINE_TABLES = ("projector", "target", "optimizer", "schedule")
TRAIN_FIELDS = ("clip_norm",)
"""Of `train`, only what shapes a step."""


@attrs.frozen(kw_only=True)
class Field:
    """One number of a recipe."""

    table: str
    """Such as `quantizer` or `losses.relational`."""
    name: str
    value: Any
    setting: Setting

    @property
    def key(self) -> str:
        """Such as `quantizer.commitment`."""
        return f"{self.table}.{self.name}"

    def moved(self, recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
        """The recipe with the value ±20 %, or at the end of its range where that is nearer; with a word for each.

        Doubled and halved come last, for values that are rounded to whole cells or codes before they act.
        """
        for word, factor in (("+20 %", 1 + SHARE), ("−20 %", 1 - SHARE), ("×2", 2.0), ("×½", 0.5)):
            value = self.value * factor
            at_bound = self.setting.at_most if value > self.value else self.setting.at_least
            for tried in (value, at_bound):
                changed = None if tried in {None, self.value} else self._with(recipe, tried)
                if changed is not None:
                    yield (word if tried == value else f"to {tried:g}"), changed
                    break

    def _with(self, recipe: Recipe, value: float) -> Recipe | None:
        """None where a field's range, or its table as a whole, does not allow the value."""
        if not self.setting.allows(value):
            return None
        try:
            return with_value(recipe, self.table, self.name, value)
        except ValueError:
            return None


def with_value(recipe: Recipe, table: str, name: str, value: Any) -> Recipe:
    """The recipe with one value changed.

    Raises:
        ValueError: the table does not allow it.
    """
    if table.startswith("losses."):
        loss = table.removeprefix("losses.")
        entry = recipe.losses[loss]
        changed = (
            attrs.evolve(entry, weight=value)
            if name == "weight"
            else attrs.evolve(entry, config=_evolved(entry.config, name, value))
        )
        return attrs.evolve(recipe, losses={**recipe.losses, loss: changed})
    return attrs.evolve(recipe, **{table: _evolved(getattr(recipe, table), name, value)})


def _evolved(config: Any, name: str, value: Any) -> Any:
    return attrs.evolve(config, **{name: value})


def without_what_is_set(finding: Finding, recipe: Recipe) -> Finding:
    """The finding, advising nothing that the recipe has already, nor what its dataset has no setting for: a space does
    not know whose it is."""
    news = _news(finding.set, recipe_table(recipe))
    of_data = {key: value for key, value in news.pop("data", {}).items() if hasattr(recipe.data, key)}
    return attrs.evolve(finding, set=news | ({"data": of_data} if of_data else {}))


def _news(changes: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    news: dict[str, Any] = {}
    for key, value in changes.items():
        own = table.get(key)
        if isinstance(value, Mapping):
            inner = _news(value, own if isinstance(own, Mapping) else {})
            news |= {key: inner} if inner else {}
        elif value != own:
            news[key] = value
    return news


def fields_of(recipe: Recipe) -> Iterator[Field]:
    """Every number that is continuous, or that acts later; those not given are left out."""
    for table in COMPONENTS:
        yield from _fields(table, getattr(recipe, table))
    for name, entry in recipe.losses.items():
        yield Field(
            table=f"losses.{name}", name="weight", value=float(entry.weight), setting=Setting(doc="", at_least=0)
        )
        yield from _fields(f"losses.{name}", entry.config)
    for table in ENGINE_TABLES:
        yield from _fields(table, getattr(recipe, table))
    yield from (field for field in _fields("train", recipe.train) if field.name in TRAIN_FIELDS)


def _fields(table: str, config: Any) -> Iterator[Field]:
    for attribute in attrs.fields(type(config)):
        value, setting = getattr(config, attribute.name), setting_of(attribute)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, float) or (is_number and setting.acts_later):
            yield Field(table=table, name=attribute.name, value=value, setting=setting)
