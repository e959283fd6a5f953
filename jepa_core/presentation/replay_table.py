"""A check of recorded rows, for people: what was found with evidence and advice, then where every rule stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from jepa_core.figures import figure_text
from jepa_core.presentation.finding_text import SEVERITY_MARKS, flags_of, moment_of
from jepa_core.presentation.rules_table import rules_table
from jepa_core.presentation.wrapping import Hanging, Parts
from jepa_core.visible_text import clean, visible
from jepa_core.watch.findings import Finding, Firing
from jepa_core.watch.judgement import Judgement, too_short
from jepa_core.watch.language import MAX_LENGTH
from jepa_core.watch.replay import Replay


def replay_table(title: str, num_rows: int, found: Replay, unread: Sequence[str] = ()) -> RenderableType:
    """The whole check; `unread` are sentences of what could not be read."""
    upto = "" if found.epoch is None else f", up to epoch {figure_text(found.epoch)}"
    rows = f"{num_rows} {'row' if num_rows == 1 else 'rows'}"
    parts: list[RenderableType] = [Hanging(Text(f"{clean(title)}   {rows}{upto}", style="bold"), 4), Text()]
    findings = found.findings
    for finding in findings:
        parts += _finding(finding)
    if not findings:
        calm = Text("Nothing was found.", style="green")
        parts.append(Text("Nothing was found in what could be read.", style="yellow") if unread else calm)
    own = [judgement for judgement in found.judgements if judgement.kind != "scenario"]
    scenarios = [judgement for judgement in found.judgements if judgement.kind == "scenario"]
    if own:
        parts += [Text(), rules_table(own)]
    if scenarios:
        parts += [Text(), *_scenarios(scenarios)]
    parts += [Text(), *(Hanging(Text(f"! {visible(each)}"), 2, "ignore") for each in unread)] if unread else []
    return Group(*parts)


def _finding(finding: Finding) -> Iterator[RenderableType]:
    mark, style = SEVERITY_MARKS[finding.severity]
    line = Text(mark, style=style).append(f" {clean(_name(finding), 60)}", style="bold")
    line.append(moment_of(finding), style="dim").append(f"   {clean(finding.message)}")
    yield Hanging(line, indent=4)
    when = str(finding.evidence.get("when", ""))
    if when not in finding.message:
        yield Hanging(Text(f"    {clean(when, MAX_LENGTH)}", style="dim"), indent=4)
    if finding.advice:
        yield Hanging(Text(f"    {clean(finding.advice)}", style="dim"), indent=4)
    if finding.set:
        yield Hanging(Text(f"    {clean(flags_of(finding.set))}", style="cyan"), indent=4)


def _name(finding: Finding) -> str:
    """Its rule's id. An early stop has none: its name is the metric, which the message names."""
    return finding.kind if isinstance(finding, Firing) and finding.kind == "early stop" else finding.name


def _scenarios(judgements: Sequence[Judgement]) -> Iterator[RenderableType]:
    """What fired stands above; of the others a name is enough."""
    short = too_short(judgements)
    without = {judgement.id for each in short for judgement in each.judgements}
    told = [(f"not judged: {each.describe()}", [judgement.id for judgement in each.judgements]) for each in short]
    for state, words in (("clear", "not seen"), ("pending", "not enough data")):
        told.append((words, [each.id for each in judgements if each.state == state and each.id not in without]))
    for words, ids in told:
        if ids:
            label = Text(f"scenarios {words}: ", style="dim")
            yield Parts([Text(clean(each, 60)) for each in ids], ", ", indent=4, label=label)
