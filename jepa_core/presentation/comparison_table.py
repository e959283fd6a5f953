"""A comparison of runs as tables: what differs, where they part, the curves at equal steps, what each came to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jepa_core.comparison.alignment import AlignedMetric, evenly_chosen
from jepa_core.comparison.comparing import Comparison, GroupTest
from jepa_core.comparison.paired_test import Answer
from jepa_core.comparison.parting import Parting
from jepa_core.comparison.recorded_run import RecordedRun
from jepa_core.comparison.student_t import MeanInterval, mean_interval
from jepa_core.figures import change_text, figure_text, rank_text
from jepa_core.metrics import Metric
from jepa_core.presentation.null_lines import null_title
from jepa_core.presentation.wrapping import Hanging
from jepa_core.recipes.writing import value_to_toml
from jepa_core.visible_text import clean

_MOST_STEPS = 8
_MOST_PARTINGS = 8
_ANSWER_STYLES: dict[Answer, str] = {"better": "green", "worse": "red", "different": "bold", "equal": "yellow"}
_WATCH = "watch."
"""Of rules, limits and baselines: two recipes of different length differ in dozens."""
_OTHER_DATA = "OTHER DATA: these runs were not judged on the same data, split and candidates."
_NOT_COMPARED = "Figures on different data say nothing of each other: no difference, test or better between them."
_DATA_WORDS = {
    True: ("same data", "dim"),
    False: ("", ""),
    None: ("whether on the same data is not known", "dim"),
}


@attrs.frozen
class _Column:
    """A run, or a recipe's runs under several seeds."""

    label: str
    runs: tuple[RecordedRun, ...]

    def final(self, name: str) -> MeanInterval | None:
        values = [value for run in self.runs if (value := run.final(name)) is not None]
        return mean_interval(values) if values else None


def comparison_table(comparison: Comparison, *, rules: bool = False) -> RenderableType:
    """The whole comparison; plain text where the console has no colour.

    With `rules` every key of `watch` that differs is shown, and else how many do: they train nothing.
    """
    columns = _columns(comparison)
    is_comparable = comparison.same_data is not False
    parts: list[RenderableType] = [] if is_comparable else list(_warning(comparison.runs))
    parts.append(_headline(comparison, columns))
    parts += [Hanging(Text(f"  · {clean(note)}", style="yellow"), indent=4) for note in comparison.notes]
    parts += [Text(), _recipes(comparison, columns, rules=rules)]
    if comparison.partings:
        parts += [Text(), *_partings(comparison.partings)]
    if is_comparable:
        for metric, declared in zip(comparison.judged, comparison.metrics, strict=False):
            parts += [Text(), *_at_equal_steps(metric, declared, comparison.runs, columns)]
    parts += [Text(), _finals(comparison, columns)]
    if comparison.tests:
        parts += [Text(), Text("is the difference real?", style="bold"), _tests(comparison)]
    return Group(*parts)


def _warning(runs: Sequence[RecordedRun]) -> Iterator[Text]:
    """What differs, above everything else."""
    yield Text(_OTHER_DATA, style="bold red")
    yield Text(_NOT_COMPARED, style="red")
    for run in runs:
        candidates = "" if run.candidates is None else f" · {run.candidates:,.0f} candidates"
        yield Text(f"  {clean(run.name, 60)}: data {clean(run.data, 12) or 'not known'}{candidates}", style="red")
    yield Text()


def _columns(comparison: Comparison) -> list[_Column]:
    if any(len(group.runs) > 1 for group in comparison.groups):
        return [_Column(group.label, group.runs) for group in comparison.groups]
    return [_Column(run.name, (run,)) for run in comparison.runs]


def _headline(comparison: Comparison, columns: Sequence[_Column]) -> Text:
    words, style = _DATA_WORDS[comparison.same_data]
    line = Text(" · ".join(clean(column.label, 60) + _count(column) for column in columns), style="bold")
    return line.append("  ").append(words, style=style)


def _count(column: _Column) -> str:
    return f" ({len(column.runs)} seeds)" if len(column.runs) > 1 else ""


def _recipes(comparison: Comparison, columns: Sequence[_Column], *, rules: bool) -> RenderableType:
    """Values that differ between columns; what differs within one is its seeds."""
    firsts = [comparison.runs.index(column.runs[0]) for column in columns]
    table = _table("recipe", *(column.label for column in columns), justify="left")
    num_folded = 0
    for change in comparison.recipe_changes:
        values = [change.values[index] for index in firsts]
        if all(value == values[0] for value in values):
            continue
        if change.key.startswith(_WATCH) and not rules:
            num_folded += 1
        else:
            # As a plain string the [id] of a rule would be taken for markup.
            table.add_row(Hanging(Text(f"  {clean(change.key)}"), indent=4), *map(_value_text, values))
    if num_folded:
        words = f"{num_folded} difference{'' if num_folded == 1 else 's'}: --rules shows them"
        table.add_row("  watch", Text(words, style="dim"))
    return table if table.row_count else Text("recipe  the same")


def _value_text(value: Any) -> Text:
    return Text("–", style="dim") if value is None else Text(clean(value_to_toml(value), 120))


def _partings(partings: Sequence[Parting]) -> Iterator[RenderableType]:
    yield Text("where they part", style="bold")
    for parting in partings[:_MOST_PARTINGS]:
        yield Hanging(Text(f"  {_parting_words(parting)}"), indent=4)
    if len(partings) > _MOST_PARTINGS:
        yield Text(f"  … and {len(partings) - _MOST_PARTINGS} more: --json", style="dim")


def _parting_words(parting: Parting) -> str:
    left, right = clean(parting.left), clean(parting.right)
    if not parting.shared_steps:
        return f"{right} and {left} have no step in common"
    if parting.step is None:
        return (
            f"{right} and {left} never part: equal to the last digit in all {parting.shared_steps} shared steps, "
            f"up to step {parting.last_shared_step}"
        )
    first, *others = parting.metrics
    more = f", and {len(others)} more {'figure' if len(others) == 1 else 'figures'}" if others else ""
    return (
        f"{right} parts from {left} at step {parting.step}: {clean(first.name)} {first.right:.9g} "
        f"beside {first.left:.9g}{more}"
    )


def _at_equal_steps(
    metric: AlignedMetric, declared: Metric, runs: Sequence[RecordedRun], columns: Sequence[_Column]
) -> Iterator[RenderableType]:
    name = clean(metric.name)
    if not len(metric.steps):
        yield Text(f"{name} has no step that all runs share", style="dim")
        return
    means = "mean " if any(len(column.runs) > 1 for column in columns) else ""
    yield Text(f"{means}{name} at equal steps", style="bold")
    table = _table("  step", "epoch", *(column.label for column in columns))
    for index in evenly_chosen(len(metric.steps), _MOST_STEPS):
        step = metric.steps[index]
        values = {run.name: series[index] for run, series in zip(runs, metric.values, strict=True)}
        shown = [mean_interval([values[run.name] for run in column.runs]).mean for column in columns]
        table.add_row(f"  {step:,.0f}", _epoch(runs, step), *_marked(shown, declared))
    yield table


def _epoch(runs: Sequence[RecordedRun], step: float) -> str:
    """Nothing when the runs are not equally far at this step."""
    epochs = {float(run.series["epoch"].at(step)) if "epoch" in run.series else math.nan for run in runs}
    (epoch,) = epochs if len(epochs) == 1 else (math.nan,)
    return "" if math.isnan(epoch) else figure_text(epoch)


def _comparable(comparison: Comparison) -> Sequence[Metric]:
    """The metrics; on other data none is better than another."""
    if comparison.same_data is not False:
        return comparison.metrics
    return [attrs.evolve(metric, better="neither") for metric in comparison.metrics]


def _finals(comparison: Comparison, columns: Sequence[_Column]) -> RenderableType:
    with_change = len(columns) == 2 and comparison.same_data is not False
    table = _table("final", *(column.label for column in columns), *(["change"] if with_change else []))
    table.add_row("  last step", *(Text(_last_steps(column), style="dim") for column in columns))
    table.add_row("  candidates", *(Text(_candidates(column), style="dim") for column in columns))
    table.add_row("  strongest null", *(Text(_strongest_null(column), style="dim") for column in columns))
    for metric in _comparable(comparison):
        finals = [column.final(metric.name) for column in columns]
        means = [math.nan if final is None else final.mean for final in finals]
        cells = _marked(
            means, metric, [_interval_text(final and final.within(metric), metric.unit) for final in finals]
        )
        table.add_row(
            Hanging(Text(f"  {clean(metric.name)}"), indent=4), *cells, *([_change(*means)] if with_change else [])
        )
    return table


def _candidates(column: _Column) -> str:
    counts = {run.candidates for run in column.runs if run.candidates is not None}
    return " or ".join(f"{count:,.0f}" for count in sorted(counts))


def _strongest_null(column: _Column) -> str:
    """Name and MRR; seeds may have trained from other starts, so that an untrained network is not one figure."""
    strongest = [null for run in column.runs if (null := run.nulls.strongest) is not None]
    shown = dict.fromkeys(f"{null_title(null.name)} {rank_text(null.mrr)}" for null in strongest)
    return " or ".join(shown) or "no null fits"


def _last_steps(column: _Column) -> str:
    steps = sorted({run.last_step for run in column.runs if run.last_step is not None})
    return " to ".join(f"{step:,}" for step in dict.fromkeys([*steps[:1], *steps[-1:]]))


def _interval_text(figure: MeanInterval | None, unit: str) -> str:
    if figure is None:
        return ""
    mean = figure_text(figure.mean, unit)
    if figure.low is None or figure.high is None:
        return mean
    return f"{mean} [{figure_text(figure.low, unit)}, {figure_text(figure.high, unit)}]"


def _marked(values: Sequence[float], metric: Metric, texts: Sequence[str] | None = None) -> list[Text]:
    """The best of a row stands out, unless all are equal."""
    shown = [figure_text(value, metric.unit) for value in values] if texts is None else texts
    finite = [value for value in values if math.isfinite(value)]
    pick = {"higher": max, "lower": min}.get(metric.better)
    best = pick(finite) if pick and len(set(finite)) > 1 else None
    return [Text(text, style="bold green" if value == best else "") for value, text in zip(values, shown, strict=True)]


def _change(first: float, second: float) -> Text:
    return Text(change_text((second - first) / abs(first)) if first else "", style="dim")


def _tests(comparison: Comparison) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0), pad_edge=False)
    units = {metric.name: metric.unit for metric in comparison.metrics}
    for test in comparison.tests:
        style = _ANSWER_STYLES.get(test.test.answer, "")
        table.add_row(
            Hanging(Text(f"  {clean(test.metric)}"), indent=4),
            Text(f"{clean(test.right, 60)} − {clean(test.left, 60)}", style="dim"),
            Text(_difference(test, units.get(test.metric, ""))),
            Text(test.test.words, style=style),
        )
    more = "  more seeds: jepa ablate RECIPE --vary KEY=VALUE,VALUE --seeds 6 trains and compares them in pairs"
    needs_more = any(test.test.answer in ("too few seeds", "cannot be told") for test in comparison.tests)
    many = "  each p stands alone: of twenty comparisons without an effect, one is expected below 0.05"
    notes = [Text(many, style="dim")] * (len(comparison.tests) > len(comparison.judged))
    return Group(table, *notes, *([Text(more, style="dim")] if needs_more else []))


def _difference(test: GroupTest, unit: str) -> str:
    difference = test.test.difference
    if difference is None:
        return ""
    sign = "+" if difference.mean > 0 else ""
    return sign + _interval_text(*_in_points(difference) if unit == "%" else (difference, unit))


def _in_points(share: MeanInterval) -> tuple[MeanInterval, str]:
    """A difference of shares in percentage points: a per cent sign stands for relative changes."""
    low, high = (None if value is None else value * 100 for value in (share.low, share.high))
    return attrs.evolve(share, mean=share.mean * 100, low=low, high=high), "points"


def _table(first: str, *others: str, justify: str = "right") -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first)
    for other in others:
        table.add_column(Text(clean(other, 60)), justify="right" if justify == "right" else "left", overflow="fold")
    return table
