"""Fields of configuration classes: described, with units and ranges, and validated when an instance is made.

`setting` is `attrs.field` with a description. The same metadata is read by the recipe reader (messages, did-you-mean),
by `jepa plugins show` and by the JSON Schema. Nothing here knows recipes or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

_METADATA_KEY = "jepa_setting"


@attrs.frozen(kw_only=True)
class Setting:
    """What a field means and which values it takes."""

    doc: str
    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] = ()
    acts_later: bool = False
    """Whether the first few steps cannot show what it does: a schedule, an interval, a threshold reached later."""

    def range_text(self) -> str:
        """The allowed range in words, such as "≥ 1" or "one of mean, sum"; empty when anything goes."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        bounds = [("≥", self.at_least), (">", self.above), ("≤", self.at_most), ("<", self.below)]
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type lies within the range; a tuple is judged item by item; None is allowed."""
        if value is None:
            return True
        if isinstance(value, tuple | list):
            return all(self.allows(item) for item in value)
        if self.choices:
            return value in self.choices
        if not isinstance(value, int | float) or isinstance(value, bool):
            return True
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def setting(
    doc: str,
    *,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    unit: str = "",
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] = (),
    acts_later: bool = False,
) -> Any:
    """A described, validated attrs field. Without `default` or `factory` the recipe must give a value."""
    description = Setting(
        doc=doc,
        unit=unit,
        at_least=at_least,
        above=above,
        at_most=at_most,
        below=below,
        choices=choices,
        acts_later=acts_later,
    )

    def within_range(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not description.allows(value):
            raise ValueError(f"{attribute.name} must be {description.range_text()} (got {value!r})")

    return attrs.field(
        default=attrs.Factory(factory) if factory is not None else default,
        validator=within_range,
        metadata={_METADATA_KEY: description},
        kw_only=True,
    )


def setting_of(attribute: attrs.Attribute[Any]) -> Setting:
    """The description of a field made by `setting`; an empty one for a plain attrs field."""
    found = attribute.metadata.get(_METADATA_KEY)
    return found if isinstance(found, Setting) else Setting(doc="")
