"""The conformance kit: does a component keep its family's contract?

    from jepa_core.conformance import check_component, find_components
    results = check_component(find_components("my_loss")[0])
    assert not [result for result in results if result.failed]

The same from the command line: `jepa plugins check my_loss`; and in pytest: `pytest --jepa-check my_loss`, for which
see `jepa_core.conformance.pytest_plugin`. A component whose settings have no usable defaults is tried with
`check_component(component, config=MyLossConfig(…))`.

Names are imported when they are asked for, so that the pytest plugin costs nothing where it is not used. Knows families
and contracts; knows no component.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepa_core.conformance.catalogue import CHECKS, checks_of
    from jepa_core.conformance.check import Check, CheckResult, Example
    from jepa_core.conformance.checking import check_component, run_check
    from jepa_core.conformance.subjects import find_components

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Example",
    "check_component",
    "checks_of",
    "find_components",
    "run_check",
]

_HOMES = {
    "CHECKS": "catalogue",
    "checks_of": "catalogue",
    "Check": "check",
    "CheckResult": "check",
    "Example": "check",
    "check_component": "checking",
    "run_check": "checking",
    "find_components": "subjects",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
