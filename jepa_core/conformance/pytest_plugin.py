"""The conformance kit in pytest: one line in an author's configuration, one test for each component and check.

In the plugin's pyproject.toml:

    [tool.pytest.ini_options]
    addopts = "--jepa-check my_loss"

or on the command line: `pytest --jepa-check my_loss`. The option takes what `jepa plugins check` takes (a component's
name, a distribution's, a module file, a project folder) and may be repeated; `-k masked-slots` chooses checks. A check
that does not apply is skipped with the reason, and so is one that ends in an exception that another has told of. Where
the option is not given nothing is imported, torch least of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jepa_core.conformance.check import Check, CheckResult
    from jepa_core.registry import Component

_OPTION = "--jepa-check"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("jepa").addoption(
        _OPTION,
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="check that a component of jepa keeps its contract; may be repeated",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add one test for each check; first of all, so that -k and -m choose among them too."""
    for target in config.getoption(_OPTION):
        items.extend(_items(session, target))


def _items(session: pytest.Session, target: str) -> Iterator[ConformanceItem]:
    from jepa_core.conformance.catalogue import checks_of
    from jepa_core.conformance.subjects import find_components
    from jepa_core.errors import JepaError

    try:
        components = find_components(target)
    except JepaError as error:
        raise pytest.UsageError(f"{_OPTION} {target}: {error}") from error
    for component in components:
        raised = dict[str, str]()
        for check in checks_of(component.family):
            yield ConformanceItem.from_parent(
                session,
                name=f"{component.family}-{component.name}-{check.name}",
                nodeid=f"jepa-check::{component.family}-{component.name}-{check.name}",
                component=component,
                check=check,
                raised=raised,
            )


class ConformanceFailure(Exception):  # noqa: N818  # what a test reports, not an error of the program
    """A check failed; the text is the whole report."""


class ConformanceItem(pytest.Item):
    """One check of one component."""

    def __init__(self, *, component: Component, check: Check, raised: dict[str, str], **item: Any) -> None:
        super().__init__(**item)
        self._component = component
        self._check = check
        self._raised = raised
        """What the component has raised in other checks."""

    def runtest(self) -> None:
        """Run the check."""
        from jepa_core.conformance.checking import run_check, skipped_if_told

        result: CheckResult = skipped_if_told(run_check(self._check, self._component), self._raised)
        if result.outcome in ("skipped", "not applicable"):
            pytest.skip(result.message)
        if result.failed:
            raise ConformanceFailure(result.text())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The check's own words; a traceback only where the kit itself fails."""
        if isinstance(excinfo.value, ConformanceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where: no file, but what was checked."""
        return self.path, None, self.name
