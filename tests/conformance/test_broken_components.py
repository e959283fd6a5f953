"""Every check can fail: on a component that breaks its promise, with a message that says how."""

from __future__ import annotations

import re

import pytest
import torch

from jepa_core.conformance import CHECKS, CheckResult, check_component, checks_of, run_check
from jepa_core.conformance.remedies import REMEDIES
from jepa_core.hookspecs import FAMILIES
from jepa_core.registry import Component
from tests.conformance import broken_on_ranks  # noqa: F401  # it adds to the broken
from tests.conformance.broken_components import BROKEN


def result_of(component: Component, name: str) -> CheckResult:
    """What comes of one check."""
    (check,) = (check for check in checks_of(component.family) if check.name == name)
    return run_check(check, component)


@pytest.mark.parametrize(("component", "check", "message"), BROKEN)
def test_a_broken_promise_is_found_and_told(component: Component, check: str, message: str) -> None:
    result = result_of(component, check)
    assert result.failed, result.text()
    assert re.search(message, result.message), result.text()
    assert result.remedy or check == "ranks"
    assert result.remedy in result.text()


def test_there_is_a_broken_component_for_every_check() -> None:
    broken = {(parameter.values[0].family, parameter.values[1]) for parameter in BROKEN}
    intact = [check for check in CHECKS if not any((family, check.name) in broken for family in check.families)]
    assert intact == []


def test_a_remedy_is_of_a_check_that_there_is() -> None:
    assert REMEDIES.keys() == {check.name for check in CHECKS} - {"ranks"}


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_checks_are_told_apart(family: str) -> None:
    names = [check.name for check in checks_of(family)]
    assert len(names) == len(set(names))


def broken(name: str) -> Component:
    """The broken component of a class."""
    (found,) = {parameter.values[0] for parameter in BROKEN if str(parameter.id).endswith(f"-{name}")}
    assert isinstance(found, Component)
    return found


def test_the_example_is_the_smallest_batch_that_shows_it() -> None:
    result = result_of(broken("Centred"), "rows")
    assert result.example is not None
    assert result.example.shapes == {"state": (2, 16)}
    assert "B = 2, T = 1, N = 1" in result.example.text()
    result = result_of(broken("CountsObjects"), "object-order")
    assert result.example is not None
    assert result.example.shapes == {"values": (1, 1, 2, 16), "mask": (1, 1, 2)}


def test_a_component_that_raises_fails_with_the_place_in_its_own_source() -> None:
    result = result_of(broken("Raises"), "finite")
    assert re.fullmatch(r"it raises KeyError: 'nothing' \(.*broken_components\.py:\d+\)", result.message)
    assert result.remedy.startswith("Mend the line that is named")
    result = result_of(broken("ReadsItem"), "host-sync")
    assert re.search(r"broken_components\.py:\d+\)$", result.message)


@pytest.mark.parametrize(("name", "kind"), [("Raises", "KeyError"), ("RaisesAnew", "ValueError")])
def test_what_a_component_raises_is_told_once_and_checks_that_end_there_are_skipped(name: str, kind: str) -> None:
    results = check_component(broken(name))
    (failed,) = (result for result in results if result.failed)
    assert failed.check == "shapes"
    skipped = [result for result in results if result.outcome == "skipped"]
    assert len(skipped) > 10
    assert {result.message for result in skipped} == {f"it raises {kind} where shapes does"}
    assert failed.raised is not None
    assert failed.raised.kind == kind
    assert failed.message.endswith(f" ({failed.raised.place})")
    assert {(result.remedy, result.example) for result in skipped} == {("", None)}


def test_what_cannot_be_built_fails_once_and_leaves_the_rest_open() -> None:
    outcomes = {result.check: result.outcome for result in check_component(broken("Required"))}
    assert outcomes["builds"] == "failed"
    assert {outcomes["shapes"], outcomes["finite"], outcomes["compile"]} == {"not applicable"}


def test_it_is_tried_with_the_configuration_that_is_given() -> None:
    component = broken("Required")
    config = component.config_class(width=3)  # type: ignore[call-arg]  # its field, not the protocol's
    results = {result.check: result for result in check_component(component, config=config)}
    assert results["shapes"].outcome == "passed", results["shapes"].text()


def test_the_callers_random_numbers_stay_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    result_of(broken("Centred"), "rows")
    assert torch.equal(torch.rand(3), expected)
