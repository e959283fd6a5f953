"""What came of the conformance checks of a component, one line a check, failures with what shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.conformance.check import CheckResult, Outcome
from jepa_core.presentation.wrapping import Hanging
from jepa_core.registry import Component
from jepa_core.visible_text import clean

MARKS: dict[Outcome, tuple[str, str]] = {
    "passed": ("✔", "green"),
    "failed": ("✘", "red"),
    "skipped": ("–", "yellow"),
    "not applicable": ("–", "dim"),
}
"""Sign and style of each outcome."""
_WIDEST = 32
"""Columns kept free for names at most: more would leave no room for what is said of them."""


class ConformanceLines:
    """What is printed of one component's checks, each as soon as its result is known."""

    def __init__(self, component: Component, checks: Collection[str]) -> None:
        """`checks` names all that come, so that the first line stands as far to the right as the last."""
        self._component = component
        self._widest = min(max((cell_len(clean(check)) for check in checks), default=0), _WIDEST)
        self.results: list[CheckResult] = []
        """Those that have a line."""

    def head(self) -> RenderableType:
        """The component."""
        component = self._component
        head = f"{component.family} {component.name} · {component.summary} · {component.origin}"
        return Group(Hanging(Text(clean(head), style="bold"), indent=2), Text())

    def line(self, result: CheckResult) -> RenderableType:
        """What came of one check."""
        self.results.append(result)
        table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, show_header=False)
        table.add_column("check", min_width=len("  ✔ ") + self._widest)
        table.add_column("what", overflow="fold")
        mark, style = MARKS[result.outcome]
        name = Text("  ").append(mark, style=style).append(f" {clean(result.check)}")
        table.add_row(Hanging(name, indent=4), Text("\n").join(_lines(result)))
        return table

    def tally(self) -> RenderableType:
        """How many of each outcome there were."""
        return Group(Text(), _tally(self.results), Text())


def _lines(result: CheckResult) -> Iterator[Text]:
    """The promise; when it is broken how, what to do, and the smallest example; else why there is none."""
    if result.outcome in ("skipped", "not applicable"):
        yield Text(f"{result.outcome}: {clean(result.message)}", style="dim")
        return
    yield Text(clean(result.promise), style="bold" if result.failed else "none")
    if result.failed:
        yield Text(clean(result.message), style="red")
    if result.remedy:
        yield Text(f"what to do: {clean(result.remedy, 400)}")
    if result.example is not None:
        yield Text(f"smallest example: {clean(result.example.text())}", style="dim")


def _tally(results: Sequence[CheckResult]) -> Text:
    outcomes = [result.outcome for result in results]
    parts = [f"{outcomes.count(outcome)} {outcome}" for outcome in MARKS if outcome in outcomes]
    return Text("  " + " · ".join(parts), style="red" if "failed" in outcomes else "green")
