"""Configuration classes describe themselves, and cannot change."""

from __future__ import annotations

import re
from typing import Any

import attrs

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, Violation, require
from jepa_core.metrics import ENGINE_METRICS, Metric
from jepa_core.settings import setting_of

MAX_SUMMARY = 110
_NOT_A_VALUE: Any = (type(attrs.NOTHING), attrs.Factory)


def named(trial: Trial) -> None:
    """A name that can stand in a recipe, and a summary that fits a line."""
    component = trial.subject.component
    require(
        re.fullmatch(r"[a-z][a-z0-9_]*", component.name) is not None,
        f"the name {component.name!r} cannot stand in a recipe: use a-z, 0-9 and _, a letter first",
    )
    summary = component.summary
    require(bool(summary), f"{component.config_class.__name__} has no docstring: its first line is shown to users")
    require(len(summary) <= MAX_SUMMARY, f"the summary has {len(summary)} characters, more than {MAX_SUMMARY}")


def described(trial: Trial) -> None:
    """Every setting has a meaning, and is given by name."""
    for field in _fields(trial):
        require(bool(setting_of(field).doc.strip()), f"the setting {field.name} has no description")
        require(field.kw_only, f"the setting {field.name} can be given by position: use @attrs.frozen(kw_only=True)")


def in_range(trial: Trial) -> None:
    """Defaults are allowed values."""
    for field in _fields(trial):
        if not isinstance(field.default, _NOT_A_VALUE):
            wanted = setting_of(field)
            require(
                wanted.allows(field.default),
                f"the default of {field.name} is {field.default!r}, and its range {wanted.range_text()}",
            )


def frozen(trial: Trial) -> None:
    """An instance cannot be changed."""
    config_class: Any = trial.subject.component.config_class
    instance = object.__new__(config_class)
    try:
        instance.kind = "other"
    except attrs.exceptions.FrozenInstanceError:
        return
    raise Violation(f"a {config_class.__name__} can be changed after it was made: use @attrs.frozen")


def metrics_declared(trial: Trial) -> None:
    """Metrics are well named, described, and not the engine's."""
    metrics = trial.subject.component.config_class.metrics
    if not metrics:
        raise NotApplicable("it declares no metrics")
    engine = {metric.name for metric in ENGINE_METRICS}
    names = [getattr(metric, "name", "") for metric in metrics]
    for metric in metrics:
        require(isinstance(metric, Metric), f"metrics holds {metric!r}, which is no Metric")
        require(bool(metric.doc), f"the metric {metric.name} has no description")
        is_name = re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", metric.name)
        require(is_name is not None, f"the metric {metric.name!r} is no name: use words of a-z, 0-9 and _ with dots")
        require(metric.name not in engine, f"the metric {metric.name} is the engine's: choose another name")
        require(names.count(metric.name) == 1, f"the metric {metric.name} is declared twice")


def _fields(trial: Trial) -> tuple[attrs.Attribute[Any], ...]:
    config_class: Any = trial.subject.component.config_class
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(config_class)
    if not fields:
        raise NotApplicable("it has no settings")
    return fields
