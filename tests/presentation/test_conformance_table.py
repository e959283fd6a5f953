"""The table of conformance checks."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from rich.console import Console, Group, RenderableType

from jepa_core.conformance import CheckResult, Example
from jepa_core.metrics import Metric
from jepa_core.presentation.conformance_table import ConformanceLines
from jepa_core.registry import Component

HOSTILE = "\x1b[2Jgone [bold]\u202e"


@attrs.frozen(kw_only=True)
class Config:
    """Says little."""

    kind: ClassVar[str] = "mine"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    def build(self, facts: Any) -> Any:
        return self


COMPONENT = Component(family="loss", name="mine", config_class=Config, distribution="jepa-mine", version="2")
EXAMPLE = Example(variant="width=2", situation="B = 1", seed=0, shapes={"values": (1, 2)})


def conformance_lines(component: Component, *results: CheckResult) -> RenderableType:
    """All that is printed of the component."""
    lines = ConformanceLines(component, [result.check for result in results])
    return Group(lines.head(), *map(lines.line, results), lines.tally())


def printed(*results: CheckResult) -> list[str]:
    """The lines on a terminal, spaces joined."""
    console = Console(width=100, force_terminal=False, record=True, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(conformance_lines(COMPONENT, *results))
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_each_outcome_is_told_with_what_it_takes_to_act_on_it() -> None:
    lines = printed(
        CheckResult(check="finite", promise="it is finite", outcome="passed"),
        CheckResult(
            check="rows",
            promise="rows are apart",
            outcome="failed",
            message="they touch",
            example=EXAMPLE,
            remedy="Part them.",
        ),
        CheckResult(check="views", promise="views are valid", outcome="not applicable", message="it has none"),
    )
    assert [line for line in lines if line] == [
        "loss mine · Says little · jepa-mine 2",
        "✔ finite it is finite",
        "✘ rows rows are apart",
        "they touch",
        "what to do: Part them.",
        "smallest example: width=2 · B = 1 · seed 0 · values (1, 2)",
        "– views not applicable: it has none",
        "1 passed · 1 failed · 1 not applicable",
    ]


def test_what_a_component_says_cannot_reach_the_terminal_as_control() -> None:
    failed = CheckResult(
        check="rows", promise="apart", outcome="failed", message=HOSTILE, example=attrs.evolve(EXAMPLE, variant=HOSTILE)
    )
    text = "\n".join(printed(failed))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]" in text
