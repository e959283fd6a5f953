"""A check of recorded rows, for people: what was found with evidence and advice, then where every rule stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from jepa_core.presentation.figures import figure_text
from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.sanitise import clean
from jepa_core.recipe.writing import toml_key, value_to_toml
from jepa_core.watch.findings import Finding, Severity
from jepa_core.watch.judgement import Judgement
from jepa_core.watch.replay import Replay

SEVERITY_MARKS: dict[Severity, tuple[str, str]] = {
    "info": ("·", "dim"),
    "warning": ("▲", "yellow"),
    "critical": ("✘", "red"),
}
"""Sign and style of each severity."""


def replay_table(title: str, num_rows: int, found: Replay) -> RenderableType:
    """The whole check."""
    upto = "" if found.epoch is None else f", up to epoch {figure_text(found.epoch)}"
    parts: list[RenderableType] = [Text(f"{clean(title)}   {num_rows} rows{upto}", style="bold"), Text()]
    findings = found.findings
    for finding in findings:
        parts += _finding(finding)
    if not findings:
        parts.append(Text("Nothing was found.", style="green"))
    own = [judgement for judgement in found.judgements if judgement.kind != "scenario"]
    scenarios = [judgement for judgement in found.judgements if judgement.kind == "scenario"]
    if own:
        parts += [Text(), rules_table(own)]
    if scenarios:
        parts += [Text(), *_scenarios(scenarios)]
    return Group(*parts)


def flags_of(changes: Mapping[str, Any]) -> str:
    """Recipe values as the flags that set them: `--set aggregator.kind="mean"`."""
    return " ".join(f"--set {key}={value_to_toml(value)}" for key, value in _leaves(changes))


def _leaves(changes: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        path = f"{above}{toml_key(key)}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value


def _finding(finding: Finding) -> Iterator[Text]:
    mark, style = SEVERITY_MARKS[finding.severity]
    line = Text(mark, style=style).append(f" {clean(finding.name, 60)}", style="bold")
    yield line.append(_moment(finding), style="dim").append(f"   {clean(finding.message)}")
    if finding.advice:
        yield Text(f"    {clean(finding.advice)}", style="dim")
    if finding.set:
        yield Text(f"    {clean(flags_of(finding.set))}", style="cyan")


def _moment(finding: Finding) -> str:
    step = "" if finding.step is None else f"   step {finding.step:.0f}"
    return step + ("" if finding.epoch is None else f"   epoch {figure_text(finding.epoch)}")


def _scenarios(judgements: Sequence[Judgement]) -> Iterator[Text]:
    """What fired stands above; of the others a name is enough."""
    for state, words in (("clear", "not seen"), ("pending", "not enough data")):
        ids = [clean(judgement.id, 60) for judgement in judgements if judgement.state == state]
        if ids:
            yield Text(f"scenarios {words}: ", style="dim").append(", ".join(ids))
