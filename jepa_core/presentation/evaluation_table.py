"""An evaluation of a checkpoint as tables: retrieval and probes each beside what learns nothing, losses, the rest."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from jepa_core.dataset_checks import TASK
from jepa_core.engine.checkpoint_evaluation import EvaluatedData, Evaluation
from jepa_core.engine.probe import Probe, Scores
from jepa_core.figures import change_text, difference_text, figure_text, rank_text
from jepa_core.presentation.null_lines import null_lines, null_title
from jepa_core.presentation.wrapping import Hanging
from jepa_core.visible_text import clean
from jepa_core.watch.nulls import RankedNulls, says_little

_LABEL_WIDTH = 18
_WIDTH = 78
"""Columns that lines of nulls take at most."""
_INDENT = 2
_CONTROLS = ("blind", "medoid", "chance")
_SAME_DATA = {
    True: "the run's own data",
    False: "other data than the run's: whether its training saw some of it is not known",
    None: "",
}


def evaluation_table(evaluation: Evaluation) -> RenderableType:
    """The whole evaluation; plain text where the console has no colour."""
    parts: list[RenderableType] = [_headline(evaluation), *_data_lines(evaluation.data)]
    parts += [Text(f"  · {clean(note)}", style="dim") for note in evaluation.notes]
    parts += [Text(), _retrieval(evaluation), *_beside_nulls(evaluation)]
    if evaluation.probes:
        parts += [Text(), _probes(evaluation)]
    if any(probe.label == TASK for probe in evaluation.probes):
        parts.append(
            Text("  task: other sequences of the same task are known, and may share observations", style="dim")
        )
    return Group(*parts, Text(), _facts(evaluation))


def _headline(evaluation: Evaluation) -> Text:
    # What speaks against it stands in the verdict.
    why = f" ({clean(evaluation.why.partition(', ')[0])})" if evaluation.why else ""
    line = Text(clean(evaluation.run), style="bold")
    return line.append(
        f" · step {evaluation.step}, epoch {figure_text(evaluation.epoch)}{why} · {evaluation.device}", style="none"
    )


def _data_lines(data: EvaluatedData) -> Iterator[Text]:
    yield Text(
        f"validation split of {clean(data.description)}: {_counted(data.num_sequences, 'sequence')}, "
        f"{_counted(data.num_candidates, 'different target')}"
    )
    if _SAME_DATA[data.same_as_run]:
        yield Text(f"  · {_SAME_DATA[data.same_as_run]}", style="dim" if data.same_as_run else "yellow")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _retrieval(evaluation: Evaluation) -> Table:
    model, null = evaluation.model, evaluation.nulls.strongest
    table = _table("retrieval", "model", null_title(null.name) if null else "no null fits")
    table.add_column(justify="right")
    beside = (rank_text(null.mrr), _change(model.mrr, null.mrr)) if null else ("", "")
    table.add_row("  MRR", rank_text(model.mrr), *beside)
    beside = (figure_text(null.top1, "%"), _change(model.top1, null.top1)) if null else ("", "")
    table.add_row("  top-1", figure_text(model.top1, "%"), *beside)
    table.add_row("  top-10", figure_text(model.top10, "%"), "", "")
    _add_near_copies(table, evaluation)
    return table


def _add_near_copies(table: Table, evaluation: Evaluation) -> None:
    """MRR among near copies beside the null that is strongest there; nothing where there are none."""
    mrr, hardest = evaluation.figures.get("val.hard.mrr"), evaluation.nulls.hardest
    if mrr is None:
        return
    name, null_mrr = (null_title(hardest.name), hardest.hard_mrr) if hardest else ("", None)
    beside = (f"{name} {rank_text(null_mrr)}", _change(mrr, null_mrr)) if null_mrr is not None else ("", "")
    table.add_row("  MRR, near copies", rank_text(mrr), *beside)


@attrs.frozen
class _Nulls:
    """Every null, in lines as wide as there is room."""

    nulls: RankedNulls

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for line in null_lines(self.nulls, min(options.max_width, _WIDTH) - _INDENT):
            yield Text(" " * _INDENT).append_text(line)


def _beside_nulls(evaluation: Evaluation) -> Iterator[RenderableType]:
    """How sure the difference to the strongest null is, the controls, and every null."""
    figures = evaluation.figures
    too_few = says_little(evaluation.data.num_candidates, figures.get("val.retrieval.tasks"))
    if too_few:
        yield Text(f"  {too_few}", style="yellow")
    names = ("above_null", "above_null_low", "above_null_high")
    mean, low, high = (figures.get(f"val.retrieval.{name}") for name in names)
    if mean is not None and low is not None and high is not None:
        style = "green" if low > 0 else "red" if high < 0 else "yellow"
        words = f"  less the strongest null's: {difference_text(mean, low, high)}, MRR paired by target"
        yield Hanging(Text(words, style=style), indent=4)
    controls = [(name, figures.get(f"val.hard.{name}_mrr")) for name in _CONTROLS]
    parts = [f"{name} {rank_text(value)}" for name, value in controls if value is not None]
    if parts:
        yield Hanging(Text("  controls of near copies: " + " · ".join(parts), style="dim"), indent=4)
    yield _Nulls(evaluation.nulls)


def _probes(evaluation: Evaluation) -> Table:
    """Each label by the model's predictions and its encoder, then by what learned nothing."""
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(Text("  probes of labels", style="none"), min_width=_LABEL_WIDTH)
    table.add_column("kNN", justify="right")
    table.add_column("linear", justify="right")
    table.add_column()
    for probe in evaluation.probes:
        table.add_row(Hanging(Text(f"  {clean(probe.label, 40)}"), indent=2), "", "", Text(_asked(probe), style="dim"))
        for row in _scores(probe):
            table.add_row(*row)
    return table


def _scores(probe: Probe) -> Iterator[tuple[Hanging, Text, Text]]:
    """A probe's rows: name, and the scores by neighbours and by a linear map."""
    has_linear = probe.prediction.linear is not None
    constant = Scores(knn=probe.constant, linear=probe.constant if has_linear else None)
    learned_nothing = {**probe.beside, "always the mean" if probe.is_numeric else "largest class": constant}
    knn = max(scores.knn for scores in learned_nothing.values())
    linear = max((scores.linear for scores in learned_nothing.values() if scores.linear is not None), default=0.0)
    unit = "" if probe.is_numeric else "%"
    for name, scores in (("prediction", probe.prediction), ("encoder", probe.encoder)):
        styles = f"bold {_judgement(scores.knn, knn)}", f"bold {_judgement(scores.linear or 0.0, linear)}"
        yield (
            Hanging(Text(f"    {name}"), indent=6),
            _score(scores.knn, unit, styles[0]),
            _score(scores.linear, unit, styles[1]),
        )
    for name, scores in learned_nothing.items():
        yield (
            Hanging(Text(f"    {clean(name, 40)}", style="dim"), indent=6),
            _score(scores.knn, unit),
            _score(scores.linear, unit),
        )


def _score(score: float | None, unit: str, style: str = "") -> Text:
    return Text("–", style="dim") if score is None else Text(figure_text(score, unit), style=style)


def _asked(probe: Probe) -> str:
    """What is scored, in words."""
    fitted = f"\nlinear: {probe.num_fitted:,} of them" if probe.num_fitted < probe.num_sequences else ""
    what = "R² over" if probe.is_numeric else f"{probe.num_classes:,} classes,"
    return f"{what} {probe.num_sequences:,} sequences{fitted}"


def _table(title: str, value: str, baseline: str) -> Table:
    """Figures beside those of what learns nothing."""
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(Text(f"  {title}", style="none"), min_width=_LABEL_WIDTH)
    table.add_column(value, justify="right", style="bold")
    table.add_column(baseline, justify="right", overflow="fold")
    return table


def _change(value: float, baseline: float) -> Text:
    """Relative to what learns nothing."""
    change = change_text((value - baseline) / baseline) if baseline else ""
    return Text(change, style=_judgement(value, baseline))


def _judgement(value: float, baseline: float) -> str:
    """The style of a figure beside that of what learns nothing."""
    return "green" if value > baseline else "red" if value < baseline else ""


def _facts(evaluation: Evaluation) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 4, 0, 0), pad_edge=False)
    table.add_column(min_width=_LABEL_WIDTH)
    for label, fact in _labelled_facts(evaluation):
        table.add_row(Hanging(Text(f"  {label}", style="dim"), indent=2), fact)
    return table


def _labelled_facts(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    figures = evaluation.figures
    losses = {name.removeprefix("val.loss."): value for name, value in figures.items() if name.startswith("val.loss.")}
    yield "loss", f"{figure_text(losses.pop('total'))} in all"
    if not losses["quantizer.raw"]:
        del losses["quantizer.raw"]
    terms = (f"{clean(name.removesuffix('.raw'))} {figure_text(value)}" for name, value in losses.items())
    yield "  without weights", " · ".join(terms)
    context, target = figures["val.rank.context"], figures["val.rank.target"]
    yield (
        "effective rank",
        f"projection: context {figure_text(context)} · target {figure_text(target)} · "
        f"at most {evaluation.projection_dim}",
    )
    if "val.rank.lidar" in figures:
        yield "LiDAR", f"{figure_text(figures['val.rank.lidar'])}      effective rank of what tells tasks apart"
    if evaluation.num_codes:
        yield "codes", _codes(evaluation)
    moved = figure_text(figures["val.order.sensitivity"])
    yield "order sensitivity", f"{moved}      how far the state moves when the context is rotated, relative to its norm"


def _codes(evaluation: Evaluation) -> str:
    usage, perplexity, dead = (evaluation.figures[f"val.vq.{name}"] for name in ("usage", "perplexity", "dead"))
    return (
        f"{figure_text(usage, '%')} of {evaluation.num_codes:,} in use · perplexity {figure_text(perplexity)} · "
        f"{figure_text(dead)} never chosen"
    )
