"""An ablation as tables: the effect of every value against its factor's reference, then every cell, then the best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.ablation.effects import AblationResult, CellResult, LevelResult, MeasuredNull
from jepa_core.comparison.paired_test import LEVEL, Answer, PairedTest
from jepa_core.comparison.sign_flip import pairs_needed
from jepa_core.comparison.student_t import MeanInterval
from jepa_core.figures import figure_text
from jepa_core.metrics import Metric
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.wrapping import Hanging
from jepa_core.visible_text import clean

ANSWERS: dict[Answer, tuple[str, str]] = {
    "better": ("yes, better", "green"),
    "worse": ("yes, worse", "red"),
    "different": ("yes, different", "bold"),
    "equal": ("no effect", "yellow"),
    "not shown": ("not shown", ""),
    "too few seeds": ("too few seeds", ""),
    "cannot be told": ("cannot be told", ""),
}
"""Of each answer: is it real, in words, and their style."""

_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": "neither way is better"}
_NO_EFFECT = "every figure of every run equals its pair's to the last digit: the change never reached the model"
_OTHER_DATA = "its runs saw other data: figures on validation cannot be compared"


def ablation_table(result: AblationResult) -> RenderableType:
    """The whole result; plain text where the console has no colour."""
    parts: list[RenderableType] = [_headline(result)]
    parts += [Hanging(Text(f"  · {clean(note)}", style="yellow"), indent=4) for note in result.notes]
    parts += [Text(), _what_is_judged(result), Text(), _effects(result), Text(), _cells(result), Text()]
    parts += [*_best(result), *_remarks(result)]
    return Group(*parts)


def interval_text(figure: MeanInterval | None, unit: str = "", *, signed: bool = False) -> str:
    """Mean and 95 % interval, with as many digits as the interval's width justifies."""
    if figure is None:
        return ""
    decimals = _decimals(figure, unit)
    mean = figure_text(figure.mean, unit, decimals=decimals)
    sign = "+" if signed and figure.mean > 0 else ""
    if figure.low is None or figure.high is None:
        return sign + mean
    low, high = (figure_text(bound, decimals=decimals) for bound in _scaled(figure, unit))
    return f"{sign}{mean} [{low}, {high}]"


def _scaled(figure: MeanInterval, unit: str) -> Iterator[float]:
    for bound in (figure.low, figure.high):
        assert bound is not None
        yield bound * 100 if unit == "%" else bound


def _decimals(figure: MeanInterval, unit: str) -> int | None:
    """At least two digits of the interval's half; None, for the usual ones, where there is no interval."""
    if figure.low is None or figure.high is None or figure.high == figure.low:
        return None
    low, high = _scaled(figure, unit)
    size = max(abs(low), abs(high))
    usual = 1 if unit == "%" else 3 if size < 1 else 2 if size < 10 else 1 if size < 1000 else 0
    return min(6, max(usual, 1 - math.floor(math.log10((high - low) / 2))))


def _headline(result: AblationResult) -> Text:
    plan = result.plan
    factors = " × ".join(clean(variation.key, 60) for variation in plan.variations)
    line = Text(f"{clean(plan.name)}: {factors}", style="bold")
    seeds = "1 seed" if len(plan.seeds) == 1 else f"{len(plan.seeds)} seeds"
    return line.append(f" · {len(plan.cells)} cells × {seeds} · {clean(result.path)}", style="not bold")


def _what_is_judged(result: AblationResult) -> Text:
    metric = result.metric
    line = Text(clean(metric.name), style="bold")
    line.append(
        f" ({_DIRECTIONS[metric.better]}): the last {metric.reported_in} of each finished run", style="not bold"
    )
    nulls = " or ".join(null_text(null, metric.unit) for null in result.nulls)
    return line.append(f" · strongest null: {nulls}" if nulls else "", style="not bold dim")


def null_text(null: MeasuredNull, unit: str) -> str:
    """Name and figure of a null, or its range over the runs."""
    ends = dict.fromkeys(figure_text(value, unit) for value in (null.low, null.high))
    return f"{null_title(null.name)} {' to '.join(ends)}"


def _effects(result: AblationResult) -> RenderableType:
    table = _table("effect of", "mean [95 %]", "difference, paired by seed [95 %]")
    table.add_column("is it real?")
    for factor in result.factors:
        table.add_row(Hanging(Text(f"  {clean(factor.key, 60)}", style="bold"), indent=4), "", "", "")
        for index, level in enumerate(factor.levels):
            name = f"    {clean(level.value, 40)}{' (reference)' if index == 0 else ''}"
            difference = level.test.difference if level.test else None
            table.add_row(
                Text(name),
                _mean(level, result.metric),
                Text(interval_text(difference, result.metric.unit, signed=True)),
                _answer(level) if index else Text(),
            )
    return table


def _mean(level: LevelResult, metric: Metric) -> Text:
    text = Text(interval_text(level.mean and level.mean.within(metric), metric.unit) or "–")
    missing = level.planned - level.finished
    return text.append(f" {missing} of {level.planned} runs missing", style="yellow") if missing else text


def _answer(level: LevelResult) -> Text:
    if level.on_other_data:
        return Text(_OTHER_DATA, style="yellow")
    if level.test is None:
        return Text()
    if level.equal_in_all:
        return Text("no effect at all", style="bold yellow").append(f": {_NO_EFFECT}", style="not bold")
    return _words(level.test)


def _words(test: PairedTest) -> Text:
    if not test.seeds:
        return Text("cannot be told: no two runs that would be paired are finished")
    answer, style = ANSWERS[test.answer]
    return Text(answer, style=style).append(f": {test.words.partition(': ')[2]}", style="default")


def _cells(result: AblationResult) -> RenderableType:
    table = _table("cell", "mean [95 %]", f"best {result.metric.reported_in}", "against the first cell")
    table.add_column("runs")
    unit = result.metric.unit
    for index, cell in enumerate(result.cells):
        against = cell.against_reference.difference if cell.against_reference else None
        table.add_row(
            Hanging(Text(f"  {clean(cell.label, 80)}"), indent=4),
            Text(
                interval_text(cell.final and cell.final.within(result.metric), unit) or "–",
                style="bold green" if index == result.best_cell else "",
            ),
            Text(figure_text(cell.best.mean, unit) if cell.best else "", style="dim"),
            Text(interval_text(against, unit, signed=True)),
            _states(cell),
        )
    return table


def _states(cell: CellResult) -> Text:
    """Such as "3 finished" or "2 finished, 1 aborted"."""
    counts = Counter(run.found.state for run in cell.runs)
    words = ", ".join(f"{count} {state}" for state, count in counts.items())
    return Text(words, style="dim" if set(counts) == {"finished"} else "yellow")


def _best(result: AblationResult) -> Iterator[Text]:
    if result.best_cell is None:
        return
    best = result.cells[result.best_cell]
    line = Text("best cell: ").append(clean(best.label, 80), style="bold")
    if result.best_cell == 0:
        yield line.append(", the reference")
    elif best.against_reference is not None:
        yield line.append(" · is it real, against the reference? ").append_text(_words(best.against_reference))


def _remarks(result: AblationResult) -> Iterator[Text]:
    tests = [level.test for factor in result.factors for level in factor.levels if level.test is not None]
    needed = pairs_needed(LEVEL)
    best = f"best {result.metric.reported_in}"
    yield Text(f"{best} is chosen with hindsight, which flatters noisy runs; it is not tested", style="dim")
    if len(tests) > 1:
        yield Text("each p stands alone: of twenty effects that do not exist, one is expected below 0.05", style="dim")
    if any(test.answer == "too few seeds" for test in tests):
        yield Text(
            f"the same command with --seeds {needed} goes on from here: only the new seeds are trained", style="dim"
        )


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first)
    for other in others:
        table.add_column(other, justify="right")
    return table
