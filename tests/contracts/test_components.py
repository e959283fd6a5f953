"""Every installed component keeps its family's contract: one test for each check of the conformance kit."""

from __future__ import annotations

import functools

import pytest

from jepa_core.conformance import CHECKS, Check, CheckResult, checks_of, run_check
from jepa_core.discovery.remarks import OWN_DISTRIBUTION
from jepa_core.registry import Component, installed

OPTIONAL = {"observer"}
"""Families whose built-in components need libraries that are extras."""

SLOW = {"compile": pytest.mark.slow}
"""Takes as long as all others together; of losses and aggregators it is tried in their own tests, too."""

EVERY_CHECK = [
    pytest.param(
        component, check, id=f"{component.family}-{component.name}-{check.name}", marks=SLOW.get(check.name, ())
    )
    for component in installed().components.values()
    for check in checks_of(component.family)
]


@functools.cache
def result_of(component: Component, check: Check) -> CheckResult:
    """What comes of a check, found once."""
    return run_check(check, component)


@pytest.mark.parametrize(("component", "check"), EVERY_CHECK)
def test_a_component_keeps_its_contract(component: Component, check: Check) -> None:
    result = result_of(component, check)
    assert not result.failed, result.text()


@pytest.mark.parametrize(
    "component",
    [
        component
        for component in installed().components.values()
        if component.distribution == OWN_DISTRIBUTION and component.family not in OPTIONAL
    ],
    ids=lambda component: f"{component.family}-{component.name}",
)
def test_a_built_in_component_can_be_tried_here(component: Component) -> None:
    (check,) = (check for check in checks_of(component.family) if check.name == "builds")
    assert result_of(component, check).outcome == "passed"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{min(check.families)}-{check.name}")
def test_a_check_says_something_about_a_component(check: Check) -> None:
    components = (component for component in installed().components.values() if component.family in check.families)
    assert any(result_of(component, check).outcome == "passed" for component in components)
