"""What a configuration class takes, field by field: for `jepa plugins show`, `jepa recipe show` and the JSON Schema."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.recipes.expectations import type_words
from jepa_core.recipes.strict_converter import key_of, strict_converter
from jepa_core.settings import setting_of


@attrs.frozen(kw_only=True)
class FieldDescription:
    """One field as a user knows it."""

    key: str
    type: str
    """In words, such as "a whole number"."""
    required: bool
    default: Any
    """Plain data; None when it is required, or when there is no value unless given."""
    unit: str
    range: str
    meaning: str


def describe_fields(owner: type[Any]) -> tuple[FieldDescription, ...]:
    """The fields of a configuration class, in its order."""
    fields = attrs.fields(attrs.resolve_types(owner))
    return tuple(_describe(owner, attribute) for attribute in fields if attribute.init)


def _describe(owner: type[Any], attribute: attrs.Attribute[Any]) -> FieldDescription:
    description = setting_of(attribute)
    return FieldDescription(
        key=key_of(owner, attribute.name),
        type=type_words(attribute.type),
        required=attribute.default is attrs.NOTHING,
        default=_default(attribute),
        unit=description.unit,
        range=description.range_text(),
        meaning=description.doc,
    )


def _default(attribute: attrs.Attribute[Any]) -> Any:
    default = attribute.default
    if default is attrs.NOTHING:
        return None
    factory = getattr(default, "factory", None)
    if factory is None:
        return strict_converter().unstructure(default)
    # A default that depends on the other fields has no value of its own to show.
    return None if getattr(default, "takes_self", False) else strict_converter().unstructure(factory())
