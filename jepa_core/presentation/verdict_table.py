"""The verdict as a table: the headline, every must and nice with value, limit and margin, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.figures import change_text, difference_text, figure_text, limit_text, rank_text, value_beside_limit
from jepa_core.presentation.finding_text import SEVERITY_MARKS, counted, flags_of
from jepa_core.presentation.null_lines import failed_null, null_title
from jepa_core.presentation.wrapping import Command, FirstFitting, Hanging, Parts
from jepa_core.recorded_numbers import decode_number
from jepa_core.shell_words import without_comment
from jepa_core.visible_text import clean
from jepa_core.watch.findings import Finding
from jepa_core.watch.judgement import Judgement, State, too_short
from jepa_core.watch.verdict import ComparedFigure, HardRetrieval, Retrieval, Verdict

MARKS: dict[State, tuple[str, str]] = {
    "holding": ("✔", "green"),
    "clear": ("·", "dim"),
    "failed": ("✘", "red"),
    "fired": ("▲", "yellow"),
    "pending": ("◌", "dim"),
}
"""Sign and style of each state."""

FEW_CANDIDATES = 100
"""Below this, how many candidates there are is said: a rank among them is easily reached."""

MOST_TYPED = 10_000
"""Characters of a command: one that is cut off cannot be typed."""

MOST_FINDINGS = 8
"""Findings that are shown; the verdict's file has all."""

_LOWER_END = re.compile(r"\s*[\w.]+_low\s*[<>]=?[\d\s.e+-]*")
"""A rule on the lower end of an interval, whose middle the headline has."""

_OUTCOME_STYLES = {
    "success": "bold green",
    "neutral": "bold",
    "regression": "bold red",
    "no baseline": "bold",
    "no effect": "bold yellow",
}


def verdict_table(verdict: Verdict) -> RenderableType:
    """The whole verdict; plain text where the console has no colour."""
    parts: list[RenderableType] = [Hanging(headline(verdict), indent=2), Text()]
    if verdict.musts or verdict.nices:
        beside = [_judgements(verdict, gap=gap) for gap in (4, 2)]
        parts += [FirstFitting([*beside, _judgements(verdict, gap=2, are_remarks_below=True)]), Text()]
    parts += [_facts(verdict), *_findings(verdict)]
    if verdict.next:
        command, why = without_comment(verdict.next)
        parts += [Text(), Command("Next: ", clean(command, MOST_TYPED), clean(why))]
    return Group(*parts)


def headline(verdict: Verdict) -> Text:
    """The outcome in one line."""
    line = Text("Verdict: ").append(verdict.outcome, style=_OUTCOME_STYLES[verdict.outcome])
    if verdict.outcome == "no effect":
        return line.append(f". {clean(verdict.reason)}")
    is_stopped = verdict.ending in ("abort", "non-finite")  # by what the reason says
    if verdict.broken is not None and not is_stopped:
        line.append(f" · {_broken(verdict.broken)}", style="bold red")
    if verdict.baseline:
        line.append(f" against {clean(verdict.baseline)}").append(_which_run(verdict), style="dim")
        return line.append(f" · {clean(verdict.reason)}")
    if is_stopped:
        return line.append(f" · {clean(verdict.reason)}")
    if verdict.outcome != "no baseline":
        line.append(f" · {clean(verdict.reason)}")
    return line.append(f" · {_musts_in_words(verdict.musts)}")


def _broken(finding: Finding) -> str:
    """Such as "the context embeddings collapse (step 220)"."""
    first, second = finding.title[:1], finding.title[1:2]
    words = first.lower() + finding.title[1:] if second.islower() else finding.title
    return clean(words) + (f" (step {finding.step:.0f})" if finding.step else "")


def _which_run(verdict: Verdict) -> str:
    if not verdict.baseline_run:
        return " (figures of the recipe)"
    data = {True: ", same data", False: ", OTHER data", None: ""}[verdict.same_data]
    return f" (run {clean(verdict.baseline_run)}{data})"


def _musts_in_words(musts: tuple[Judgement, ...]) -> str:
    if not musts:
        return "the recipe has no musts"
    failed = sum(judgement.state == "failed" for judgement in musts)
    unjudged = sum(judgement.state == "pending" for judgement in musts)
    if not failed and not unjudged:
        return "every must held"
    if not failed:
        return f"{unjudged} of {len(musts)} musts not judged"
    return f"{failed} of {len(musts)} musts failed" + (f", {unjudged} not judged" if unjudged else "")


def _judgements(verdict: Verdict, *, gap: int, are_remarks_below: bool = False) -> Table:
    """Every must and nice; a remark beside it, or below its title."""
    table = Table(box=None, show_header=False, padding=(0, gap, 0, 0), pad_edge=False)
    for justify in ("left", "right", "left", "right", *(() if are_remarks_below else ("left",))):
        table.add_column(justify=justify)
    header = [Text(word, style="dim") for word in ("value", "limit", "margin")]
    for title, judgements in (("must", verdict.musts), ("nice", verdict.nices)):
        if judgements:
            table.add_row(Text(f"  {title}"), *header)
            header = []
            for judgement in judgements:
                table.add_row(*_judgement_row(judgement, is_remark_below=are_remarks_below))
    return table


def _judgement_row(judgement: Judgement, *, is_remark_below: bool) -> Iterable[RenderableType]:
    mark, style = MARKS[judgement.state]
    title = Hanging(Text("  ").append(mark, style=style).append(f" {clean(judgement.title, 60)}"), indent=4)
    remark = Text(_remark(judgement), style="dim")
    yield Group(title, Hanging(Text("    ") + remark, indent=4)) if is_remark_below and remark.plain else title
    value, margin = judgement.decisive_value, judgement.decisive_margin
    end = Text("lower end " if value is not None and _LOWER_END.fullmatch(judgement.when) else "", style="dim")
    yield end.append(
        "" if value is None else value_beside_limit(value, judgement.limit, judgement.unit, of=judgement.when),
        style="none",
    )
    yield Text("" if judgement.limit is None else _limit(judgement))
    yield Text(change_text(margin) if margin else "", style=style if judgement.state == "failed" else "")
    if not is_remark_below:
        yield remark


def _limit(judgement: Judgement) -> str:
    assert judgement.limit is not None
    value = judgement.decisive_value
    return limit_text(judgement.operator, judgement.limit, judgement.unit, of=judgement.when, value=value)


def _remark(judgement: Judgement) -> str:
    worst = judgement.worst
    if judgement.state == "pending":
        return "not enough data" if not judgement.evaluations else "open: the run did not finish"
    if judgement.state == "failed" and worst is None and judgement.epoch is not None:
        return f"since epoch {figure_text(judgement.epoch)}"
    if worst is None:
        return "" if judgement.value is not None or judgement.state == "holding" else clean(judgement.when, 60)
    word = "lowest" if judgement.operator in ">≥" else "highest"
    return f"{word} {figure_text(worst.value, judgement.unit, of=judgement.when)} at epoch {figure_text(worst.epoch)}"


def _facts(verdict: Verdict) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0), pad_edge=False)
    for label, fact in _labelled_facts(verdict):
        table.add_row(Hanging(Text(f"  {label}", style="dim"), indent=2), fact)
    return table


def _labelled_facts(verdict: Verdict) -> Iterator[tuple[str, RenderableType]]:
    if verdict.outcome == "no baseline" and verdict.ending in ("finished", "early stop"):
        yield "nothing compared", Text(clean(verdict.reason))
    if verdict.not_compared:
        yield "no baseline", Text(clean(verdict.not_compared), style="yellow")
    if verdict.compared:
        yield f"against {clean(verdict.baseline)}", Text(" · ".join(map(_compared, verdict.compared)))
    if verdict.retrieval is not None:
        yield from _retrieval_facts(verdict.retrieval)
    if verdict.best is not None:
        best = verdict.best
        yield "best checkpoint", Text(f"step {best.step}, epoch {figure_text(best.epoch)}: {clean(best.why)}")
    for past in verdict.story:
        yield "rolled back", Text(clean(past.describe()))
    rollbacks = f"{verdict.rollbacks} {'rollback' if verdict.rollbacks == 1 else 'rollbacks'}"
    yield "while it ran", counted(verdict.findings).append(f" · {rollbacks}", style="none")
    scenarios = [judgement for judgement in verdict.judgements if judgement.kind == "scenario"]
    for short in too_short(scenarios):
        number = f"{len(short.judgements)} of {len(scenarios)} scenarios"
        yield "not judged", Text(f"{number}: {short.describe()}", style="yellow")


def _compared(figure: ComparedFigure) -> str:
    better = "" if not figure.change else " better" if figure.change > 0 else " worse"
    change = "" if figure.change is None else f" ({change_text(abs(figure.change)).lstrip('+')}{better})"
    value, baseline = (figure_text(number, figure.unit, of=figure.name) for number in (figure.value, figure.baseline))
    return f"{clean(figure.name, 60)} {value} beside {baseline}{change}"


def _retrieval_facts(retrieval: Retrieval) -> Iterator[tuple[str, RenderableType]]:
    line = Text(_retrieval(retrieval.mrr, retrieval.top1, "MRR "), style="bold")
    if retrieval.candidates is not None and retrieval.candidates < FEW_CANDIDATES:
        number = retrieval.candidates
        line.append(f" among {number} candidate{'' if number == 1 else 's'}", style="yellow")
    yield "retrieval on validation", line.append_text(_beside_null(retrieval))
    if retrieval.num_null_only:
        yield "the null alone finds", _null_only(retrieval)
    if retrieval.hard is not None:
        yield "near copies", _near_copies(retrieval.hard)
    if retrieval.disabled:
        yield "nulls switched off", Text(", ".join(map(null_title, retrieval.disabled)), style="yellow")
    for name, why in retrieval.failed.items():
        yield "null left out", Text(failed_null(name, why), style="yellow")


def _beside_null(retrieval: Retrieval) -> Text:
    """Such as "strongest null (extrapolation) 0.364 · 16.8 %   +0.048 [0.031, 0.066]"."""
    if retrieval.null_mrr is None:
        # A run that did not count its candidates did not rank nulls either.
        if retrieval.candidates is None:
            return Text()
        none = "no null is left on" if retrieval.disabled or retrieval.failed else "no null fits this data"
        return Text(f"      {none}", style="dim")
    words = f"      strongest null ({null_title(retrieval.null)}) {_retrieval(retrieval.null_mrr, retrieval.null_top1)}"
    line = Text(words, style="dim")
    if retrieval.above is None or retrieval.above_low is None or retrieval.above_high is None:
        return line
    style = "green" if retrieval.is_above else "red" if retrieval.above_high < 0 else "yellow"
    return line.append(f"   {difference_text(retrieval.above, retrieval.above_low, retrieval.above_high)}", style=style)


def _null_only(retrieval: Retrieval) -> RenderableType:
    """How many targets the null ranks first and the model does not, and some of their tasks."""
    number = f"{retrieval.num_null_only:,} target{'' if retrieval.num_null_only == 1 else 's'}"
    words = f"{number} ranked first by it and not by the model"
    named = [Text(clean(task, 40)) for task in retrieval.null_only]
    return Parts(named, " · ", label=Text(f"{words}, such as of ")) if named else Text(words)


def _near_copies(hard: HardRetrieval) -> Text:
    """Such as "MRR 0.660 · pair analogy 0.614 · blind 0.170 · medoid 0.210"."""
    beside = [
        f"{name} {rank_text(value)}"
        for name, value in ((null_title(hard.null), hard.null_mrr), *_controls(hard))
        if name and value is not None
    ]
    line = Text(f"MRR {rank_text(hard.mrr)}", style="bold").append(
        "".join(f" · {part}" for part in beside), style="none"
    )
    return line.append(f"   void: {clean(hard.void)}", style="yellow") if hard.void else line


def _controls(hard: HardRetrieval) -> tuple[tuple[str, float | None], ...]:
    return (("blind", hard.blind_mrr), ("medoid", hard.medoid_mrr))


def _retrieval(mrr: float, top1: float | None, label: str = "") -> str:
    return f"{label}{rank_text(mrr)}" + (
        "" if top1 is None else f" · {'top-1 ' if label else ''}{figure_text(top1, '%')}"
    )


def _findings(verdict: Verdict) -> Iterator[RenderableType]:
    """The most severe findings, each with when it was and what to do."""
    if not verdict.findings:
        return
    table = Table.grid(padding=(0, 1, 0, 0))
    for finding in verdict.findings[:MOST_FINDINGS]:
        mark, style = SEVERITY_MARKS[finding.severity]
        table.add_row(Text(f"    {mark}", style=style), _finding(finding))
    more = len(verdict.findings) - MOST_FINDINGS
    if more > 0:
        table.add_row("", Text(f"… and {more} more, which jepa check shows", style="dim"))
    yield table


def _finding(finding: Finding) -> Text:
    line = Text(clean(finding.message)).append(f"   {_since(finding)}", style="dim")
    if finding.advice:
        line.append(f"   {clean(finding.advice)}", style="dim")
    if finding.set:
        line.append(f"   {clean(flags_of(finding.set))}", style="cyan")
    return line


def _since(finding: Finding) -> str:
    """When it began, as far as that is known."""
    if not finding.step:
        return "at the start"
    first = decode_number(finding.evidence.get("first_sign"))
    if first is not None and first < finding.step:
        return f"since step {first:.0f}, told at {finding.step:.0f}"
    epoch = "" if finding.epoch is None else f", epoch {figure_text(finding.epoch)}"
    times = decode_number(finding.evidence.get("times"))
    return f"step {finding.step:.0f}{epoch}" + ("" if times is None else f", {times:.0f} times")
