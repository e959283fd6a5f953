"""What holds for every configuration class: it describes itself, and cannot change."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from jepa_core.hookspecs import FAMILIES
from jepa_core.metrics import ENGINE_METRICS, Metric
from jepa_core.registry import Component, installed
from jepa_core.settings import setting_of

MAX_SUMMARY = 110
_NOT_A_VALUE: Any = (type(attrs.NOTHING), attrs.Factory)

every_component = pytest.mark.parametrize(
    "component", installed().components.values(), ids=lambda component: f"{component.family}-{component.name}"
)


def fields_of(component: Component) -> tuple[attrs.Attribute[Any], ...]:
    """The settings of a component."""
    config_class: Any = component.config_class
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(config_class)
    return fields


@every_component
def test_its_name_can_stand_in_a_recipe(component: Component) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", component.name)
    assert component.config_class.kind == component.name
    assert component.family in FAMILIES


@every_component
def test_its_summary_fits_a_line(component: Component) -> None:
    assert 0 < len(component.summary) <= MAX_SUMMARY


@every_component
def test_every_setting_is_described_and_given_by_name(component: Component) -> None:
    fields = fields_of(component)
    assert [field.name for field in fields if not setting_of(field).doc.strip()] == []
    assert [field.name for field in fields if not field.kw_only] == []


@every_component
def test_defaults_are_allowed_values(component: Component) -> None:
    given = [field for field in fields_of(component) if not isinstance(field.default, _NOT_A_VALUE)]
    assert [field.name for field in given if not setting_of(field).allows(field.default)] == []


@every_component
def test_it_cannot_be_changed(component: Component) -> None:
    assert component.config_class.__setattr__ is not object.__setattr__
    frozen = object.__new__(component.config_class)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        frozen.kind = "other"  # type: ignore[misc]  # that it fails is the point


@every_component
def test_the_metrics_it_declares_are_its_own_and_described(component: Component) -> None:
    metrics = component.config_class.metrics
    assert {type(metric) for metric in metrics} <= {Metric}
    assert all(metric.doc for metric in metrics)
    names = [metric.name for metric in metrics]
    assert len(names) == len(set(names))
    assert set(names).isdisjoint(metric.name for metric in ENGINE_METRICS)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", name) for name in names)
