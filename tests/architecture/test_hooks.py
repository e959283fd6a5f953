"""Hooks are the contract with plugins: every one is documented, used, and tested over all installed components."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import entry_points

import pytest

from jepa_core import contracts, facts, hookspecs
from jepa_core.conformance import checks_of
from jepa_core.registry import ENTRY_POINT_GROUP, Registry, discover

HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")}


@pytest.fixture(scope="module")
def builtin() -> Registry:
    """The built-in components, whatever else is installed."""
    return discover(point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == "builtin")


def test_every_hook_but_that_of_benchmarks_is_a_family_and_every_family_a_hook() -> None:
    assert set(HOOKS) == set(hookspecs.HOOKS.values())
    assert set(hookspecs.HOOKS) - set(hookspecs.FAMILIES) == {hookspecs.BENCHMARK}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_takes_nothing_and_says_what_its_components_are_told_and_give(hook: str) -> None:
    spec = HOOKS[hook]
    doc = inspect.getdoc(spec) or ""
    assert not inspect.signature(spec).parameters
    (told,) = re.findall(r"build\((\w+)\)", doc)
    assert hasattr(facts, told)
    given = re.findall(r"`(?:contracts\.)?([A-Z]\w+)`", doc)
    assert given
    assert all(hasattr(contracts, name) for name in given)


@pytest.mark.parametrize("family", hookspecs.FAMILIES)
def test_a_family_has_a_built_in_component_and_checks_of_its_own(family: str, builtin: Registry) -> None:
    assert builtin.family(family)
    assert [check.name for check in checks_of(family) if not check.of_class]


def test_the_built_in_plugin_is_whole(builtin: Registry) -> None:
    assert builtin.broken == ()
