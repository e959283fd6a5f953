"""What holds for every observer: a name is enough to ask for it, and its methods take what they are told."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import attrs
import pytest

from jepa_core.contracts import Observer
from jepa_core.errors import PluginError
from jepa_core.facts import ObserverFacts
from jepa_core.registry import Component, installed

METHODS = {name for name, value in vars(Observer).items() if inspect.isfunction(value) and not name.startswith("_")}

every_observer = pytest.mark.parametrize("component", installed().family("observer").values(), ids=lambda c: c.name)


@every_observer
def test_every_setting_has_a_default(component: Component) -> None:
    config_class: Any = component.config_class
    assert [field.name for field in attrs.fields(config_class) if field.default is attrs.NOTHING] == []


@every_observer
def test_its_methods_take_what_they_are_called_with(component: Component, tmp_path: Path) -> None:
    try:
        observer = component.config_class().build(ObserverFacts(run_path=tmp_path))
    except PluginError as error:
        pytest.skip(str(error))
    offered = METHODS & set(dir(observer))
    assert offered
    for name in offered:
        called_with = list(inspect.signature(getattr(Observer, name)).parameters)[1:]
        inspect.signature(getattr(observer, name)).bind(*called_with)
